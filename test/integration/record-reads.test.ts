import { ratesAlone } from '@keyfleet/test-support/rates-alone';
import { testMacs } from '@keyfleet/test-support/redis-store';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { newPolicy, newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import { AccountVersions } from '@keyfleet/frontend/identities/account-versions';
import { Identities } from '@keyfleet/frontend/identities/identities';
import type { UserRecord } from '@keyfleet/frontend/identities/iam-records';
import { chargedIam, RedisIamStore } from '@keyfleet/frontend/identities/redis-iam-store';
import type { RequestRates } from '@keyfleet/frontend/quotas/request-rates';
import { iamChangeOf } from '@keyfleet/frontend/store/change-feed';
import { MemoryStore } from '@keyfleet/frontend/store/memory-store';
import { systemClock } from '@keyfleet/shared/clock';
import { beforeEach, expect, test } from 'vitest';

const redis = useRedis();

/** Of ten records with 1.2 MB. */
const POLICIES = 10;
const document = ' '.repeat(24_000);

let rates: RequestRates;
let versions: AccountVersions;
let identities: Identities;
beforeEach(() => {
  rates = ratesAlone({ RecordReads: 40 });
  versions = new AccountVersions();
  identities = new Identities({
    charged: chargedIam({ calls: redis.calls, macs: testMacs() }, rates),
    accessKeys: new MemoryStore(),
    changes: {
      epoch: 1,
      connected: true,
      trusted: true,
      servesLastKnown: false,
      isLastKnown: () => false,
      listen() {},
    },
    versions,
    clock: systemClock,
  });
  return () => rates[Symbol.dispose]();
});

async function insertHeavyUser(): Promise<UserRecord> {
  const store = new RedisIamStore({ calls: redis.calls, macs: testMacs() });
  const versionIds = ['v1', 'v2', 'v3', 'v4', 'v5'];
  for (let i = 0; i < POLICIES; i++) {
    const policy = newPolicy(`heavy${i}`);
    await store.insert(
      { ...policy, versions: versionIds.map((versionId) => ({ versionId, document, createdAt: 1 })) },
      99,
    );
  }
  const attached = Array.from({ length: POLICIES }, (_, i) => `arn:aws:iam::111122223333:policy/heavy${i}`);
  const heavy = newUser('heavy', { attached });
  expect(await store.insert(heavy, 99)).toBe('done');
  return heavy;
}

test("an account's large identities are read as often as its rate allows, and another account is not held up", async () => {
  const heavy = await insertHeavyUser();
  const light = { ...newUser('light'), accountId: '444455556666' };
  await new RedisIamStore({ calls: redis.calls, macs: testMacs() }).insert(light, 99);
  const nameOf = async (user: UserRecord) => (await identities.find(user.accountId, user, undefined))?.record.name;
  const change = ({ accountId }: UserRecord) => versions.changed(iamChangeOf(accountId));

  expect(await nameOf(heavy)).toBe('heavy');
  // What is cached costs nothing.
  for (let i = 0; i < 100; i++) expect(await nameOf(heavy)).toBe('heavy');
  change(heavy);
  await expect(nameOf(heavy)).rejects.toMatchObject({ code: 'ThrottlingException', message: 'Rate exceeded' });
  for (let i = 0; i < 10; i++) {
    change(light);
    expect(await nameOf(light)).toBe('light');
  }
  let seconds = 0;
  do {
    await rates.endWindow();
    seconds += 1;
  } while ((await nameOf(heavy).catch(String)) !== 'heavy');
  // Some 160 pieces of 8 KiB, at 40 a second.
  expect(seconds).toBeGreaterThan(2);
  expect(seconds).toBeLessThan(6);
});
