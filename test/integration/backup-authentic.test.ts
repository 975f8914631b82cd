import { onlyAuthentic } from '@keyfleet/cli/backup/authentic';
import { restoreBackup } from '@keyfleet/cli/backup/restore';
import { takeBackup } from '@keyfleet/cli/backup/take';
import { CliError } from '@keyfleet/cli/cli-error';
import type { Progress } from '@keyfleet/cli/progress';
import { newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import { RedisIamStore } from '@keyfleet/frontend/identities/redis-iam-store';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { noRecordKeyFloor } from '@keyfleet/frontend/store/record-key-floor';
import { FleetRecordKeys } from '@keyfleet/frontend/store/record-keys';
import { RecordMacs } from '@keyfleet/frontend/store/record-macs';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import { newAccessKey } from '@keyfleet/frontend/store/store.contract';
import { systemClock } from '@keyfleet/shared/clock';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { iamAt, storedValueOf } from '@keyfleet/shared/stored/names';
import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { openStore, testKeys, testMacs } from '@keyfleet/test-support/redis-store';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';

// A backup for making Redis anew: it has the record keys, and believes nothing else.

const redis = useRedis();
let client: RedisClient;
beforeEach(() => ({ client } = redis));

const key = newKey();

test('a backup that has record keys leaves out what no frontend wrote, and none is made where one is missing', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'keyfleet-backup-'));
  const { calls, writes } = redis;
  const store = openStore({ client, writes, clock: systemClock });
  const iam = new RedisIamStore({ calls, macs: testMacs() });
  await store.insertKey(key);
  await iam.insert(newUser('alice'), 9);
  await store.insertFirstAccessKey(newAccessKey('AKIA1', '1'));
  const [users] = iamAt(newUser('alice').accountId);
  const forged = ['{}', `{"kind":"user","name":"eve","mac":"1.${'A'.repeat(43)}"}`];
  const planted: Record<string, (text: string) => Promise<unknown>> = {
    [users]: (text) => client.hset(users, 'user/eve', text),
    'kf:key:{r/junk}': (text) => client.hset('kf:key:{r/junk}', 'record', text),
    'kf:access-key:{AKIA2}': (text) => client.set('kf:access-key:{AKIA2}', text),
    'kf:first-access-key:{2}': (text) => client.set('kf:first-access-key:{2}', `AKIA2 ${text}`),
    'kf:secret:{record-key-4000}': () => client.set('kf:secret:{record-key-4000}', ownToken),
    'kf:secret:{junk}': () => client.set('kf:secret:{junk}', ownToken),
  };
  const owner = { accessKeyId: 'keyfleet-record-key-1', principal: 'keyfleet:frontends' };
  const ownToken = Buffer.from((await new FakeHsm().execute('GenerateCredential', owner)).token);
  await client.set('kf:secret:{record-key-1}', ownToken);
  const names = (await client.keys('*')).filter((name) => storedValueOf(name)!.role === 'kept');
  const keys = {
    look: async () => ({ oldest: 1, newest: 1, madeIn: 1 }),
    find: async (n: number) => testKeys.find(n),
    uses: async (n: number, token: Uint8Array) => n === 1 && ownToken.equals(token),
  };
  const only = await onlyAuthentic(client, { keys, macs: testMacs() }, { number: 1, madeIn: 1 });
  for (const text of forged) {
    for (const plant of Object.values(planted)) await plant(text);
    await client.set('kf:first-access-key:{3}', 'AKIA3');
    const path = join(dir.path, `backup-${text.length}`);
    const progress = { tell: () => {} } as unknown as Progress;
    const taken = await takeBackup(client, { path, resume: false, progress, sift: only });
    await client.flushall();
    const restored = await restoreBackup(client, { path, replicas: 0, progress });
    expect(taken.leftOut).toHaveLength(Object.keys(planted).length);
    for (const name of Object.keys(planted))
      expect(taken.leftOut.join()).toContain(name.replace('first-access-key:{2}', 'access-key:{AKIA2}'));
    expect(restored.leftOut).toEqual([
      'kf:first-access-key:{3} (there is no access key and no IAM record of the account)',
    ]);
    const kept = (await client.keys('*')).filter((name) => storedValueOf(name)!.role === 'kept');
    expect(kept.toSorted()).toEqual(names.toSorted());
    expect((await iam.list(newUser('alice').accountId, 'user', 9)).items).toHaveLength(1);
    expect(await client.zcard(iamAt(newUser('alice').accountId)[1])).toBe(1);
  }
});

test.each<[string, (older: Buffer) => Promise<unknown>]>([
  ['where they begin', () => client.del('kf:record-keys')],
  ['the newest', () => client.unlink('kf:secret:{record-key-2}')],
  [
    'the newest, with an older one in its place',
    async (older) => {
      await client.unlink('kf:secret:{record-key-2}');
      await client.mset('kf:record-keys', '1', 'kf:secret:{record-key-1}', older);
    },
  ],
  [
    'the range, with an older one beside the newest',
    (older) => client.mset('kf:record-keys', '1', 'kf:secret:{record-key-1}', older),
  ],
  ['that an older one is in use', (older) => client.set('kf:secret:{record-key-1}', older)],
])('who hides of the record keys %s has no backup made that leaves out what is under them', async (_, hide) => {
  const secrets = new RedisFleetSecrets(redis.calls);
  const deps = { secrets, hsm: new FakeHsm(), domain: new FakeDomain(), clock: systemClock };
  const frontends = new FleetRecordKeys({ ...deps, floor: noRecordKeyFloor });
  await frontends.newest();
  const older = (await client.getBuffer('kf:secret:{record-key-1}'))!;
  const { number, madeIn } = await frontends.makeNext();
  await secrets.dropOlderRecordKeys({ oldest: 1, newest: number });
  const lowest = { oldest: 1, newest: number, madeIn, fingerprints: {} };
  const sift = () => {
    const keys = new FleetRecordKeys({ ...deps, floor: { ...noRecordKeyFloor, lowest } });
    return onlyAuthentic(client, { keys, macs: new RecordMacs(keys) }, { number, madeIn });
  };
  await expect(sift()).resolves.toBeTypeOf('function');
  await hide(older);
  await expect(sift()).rejects.toThrow(CliError);
});
