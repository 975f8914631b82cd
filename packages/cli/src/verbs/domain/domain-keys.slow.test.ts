import { randomBytes } from 'node:crypto';
import { sealToken } from '@keyfleet/hsm-worker/boundary/tokens/sealed-token';
import { CredentialToken } from '@keyfleet/hsm-worker/boundary/tokens/stored-token';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { TestDomain } from '@keyfleet/test-support/domain';
import { redisWith } from '@keyfleet/test-support/fakes/stored-values';
import { expect, test } from 'vitest';
import { CliError } from '../../cli-error.ts';
import { checkRecordKey } from '../../doctor/record-key.ts';
import { assertForgetsNoRemoval } from './domain-keys.ts';

const stateOf = (domain: TestDomain) => domain.hsms[0]!.state!;

/** The first record key, as frontends make it under the domain key that is active now, in a Redis without others. */
function withRecordKey(domain: TestDomain): RedisClient {
  const header = {
    accessKeyId: `keyfleet-record-key-1/${stateOf(domain).domainKeys.at(-1)!.id}`,
    principal: 'keyfleet:frontends',
  };
  const keyring = domain.hsms[0]!.keyring()!;
  const token = sealToken(CredentialToken, { header, secret: Buffer.alloc(40, 'x') }, { keyring, nonce: randomBytes });
  return redisWith({ 'kf:secret:{record-key-1}': token });
}

/** Nobody has used the domain key that it made for long. */
function removeFrontend(domain: TestDomain): void {
  domain.step({ name: 'ModifyOperators', body: { admit: [], remove: [domain.frontend.operatorId] } });
  rotate(domain);
}

function rotate(domain: TestDomain): void {
  domain.clock.advance(24 * 3_600_000);
  domain.rotate();
  for (const hsm of domain.hsms) hsm.activate(domain.generation);
}

/** What hsm-workers opened as the newest record key. */
const opened = (madeIn: number) => () => Promise.resolve({ number: 1, madeIn });

test('the domain key of a removal is not dropped while who left may have the record key', async () => {
  const domain = new TestDomain();
  removeFrontend(domain);
  const [first, removal] = stateOf(domain).domainKeys.map(({ id }) => id);
  const drop = (newest: Parameters<typeof assertForgetsNoRemoval>[2], ...ids: string[]) =>
    assertForgetsNoRemoval(stateOf(domain), ids, newest);
  const refused = `only domain key ${removal} still shows that somebody left. It may be dropped once workers open a record key that was made since: `;
  await expect(drop(opened(1), first!, removal!)).rejects.toThrow(
    `${refused}record key 1 was made before generation 2`,
  );
  // Nobody knows; or Redis shows none, or one that does not open.
  await expect(drop(opened(0), first!, removal!)).rejects.toThrow(refused);
  await expect(drop(() => Promise.resolve(undefined), first!, removal!)).rejects.toThrow(`${refused}there is none`);
  const damaged = () => Promise.reject(new CliError('record key 1 does not open'));
  await expect(drop(damaged, first!, removal!)).rejects.toThrow(`${refused}record key 1 does not open`);
  await drop(damaged, first!);
  await drop(opened(2), first!, removal!);
});

test('nor while an older domain key is kept, which may be reinstated and would not be retired again', async () => {
  const domain = new TestDomain();
  rotate(domain);
  removeFrontend(domain);
  const [first, second, removal] = stateOf(domain).domainKeys.map(({ id }) => id);
  const drop = (...ids: string[]) => assertForgetsNoRemoval(stateOf(domain), ids, opened(3));
  await expect(drop(first!, removal!)).rejects.toThrow(
    `domain key ${removal} shows that whoever left may have the older domain key ${second}: drop both, or keep both.`,
  );
  await drop(first!, second!, removal!);
});

test('the doctor says that nobody left only where the domain would show it', async () => {
  const domain = new TestDomain();
  const redis = withRecordKey(domain);
  expect(await checkRecordKey(redis, stateOf(domain))).toBe(
    '1; nobody has left the domain since it was made. It says so itself: --deep has it opened',
  );
  removeFrontend(domain);
  await expect(checkRecordKey(redis, stateOf(domain))).rejects.toThrow('record key 1 was made before generation 2');
  // As an earlier release did it.
  domain.clock.advance(60_000);
  domain.drop(
    ...stateOf(domain)
      .domainKeys.slice(0, 2)
      .map(({ id }) => id),
  );
  expect(await checkRecordKey(redis, stateOf(domain))).toContain('no removal since then is known');
  expect(await checkRecordKey(withRecordKey(domain), stateOf(domain))).toContain('nobody has left');
});
