import { CreateKeyCommand, DecryptCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, keyfleetJson, runKeyfleet } from '@keyfleet/test-support/cli';
import { sightingAt } from '@keyfleet/shared/stored/names';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { openClusterKeys } from '@keyfleet/test-support/cluster-records';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { eventually, newFleet } from '@keyfleet/test-support/fleet';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const nodeArgs = ['--import', join(import.meta.dirname, '../support/shifted-clock.ts')];

/** Sets the clock of one process, or without a name of all that have none of their own. */
function shiftClock({ home }: TestCluster, milliseconds: number, name?: string): void {
  const file = home.in('config', name === undefined ? 'clock' : `clock-${name}`);
  writeFileSync(`${file}.new`, String(milliseconds));
  renameSync(`${file}.new`, file);
}

/** So much more time seems to have passed for the domain-manager, and all clocks go with it. */
function letPass(cluster: TestCluster, milliseconds: number): void {
  writeFileSync(cluster.home.in('config', 'passed-domain-manager'), String(milliseconds));
  shiftClock(cluster, milliseconds);
}

/** Says whether what was encrypted now still decrypts. */
async function encrypted(kms: KMSClient): Promise<(by?: KMSClient) => Promise<boolean>> {
  const Plaintext = Buffer.from('from before');
  const { KeyMetadata } = await kms.send(new CreateKeyCommand());
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: KeyMetadata?.KeyId, Plaintext }));
  return async (by = kms) =>
    Plaintext.equals((await by.send(new DecryptCommand({ CiphertextBlob }))).Plaintext ?? Buffer.of());
}

/**
 * A client of its own for one call: the SDK sets its clock by the Date of any answer, and Node writes the true time
 * there.
 */
async function callAt(cluster: TestCluster, systemClockOffset: number, call: (by: KMSClient) => Promise<boolean>) {
  const client = kmsClient(cluster, { systemClockOffset });
  try {
    return await call(client);
  } finally {
    client.destroy();
  }
}

interface DomainView {
  readonly generation: number;
}

test('twenty minutes after a removal the older domain keys are retired, and nobody had to ask for it', async () => {
  await using cluster = await startTestCluster({ nodeArgs });
  await using resources = new AsyncDisposableStack();
  const { redis } = await openClusterKeys(cluster, resources);
  const decrypts = await encrypted(kmsClient(cluster));
  const [, removed] = cluster.home.workerNames;
  const { domain, signer } = cliOptionsOf(cluster);
  expect(await runKeyfleet('member', 'remove', removed!, ...domain, ...signer)).toMatchObject({ exitCode: 0 });
  const log = () => readFileSync(cluster.home.in('log', 'domain-manager.log'), 'utf8');
  await eventually('the removal is stored', () => log().includes('"command":"ModifyMembers"'));
  // The domain-manager counts the time from then on, by a clock that is put forward below.
  await eventually('the time counts', async () => (await redis.exists(sightingAt('development', 2))) === 1);

  // Just before that time nothing of the kind happens, however often the domain-manager looks.
  letPass(cluster, 18 * MINUTE);
  await eventually('the fleet goes on with the new time', () => callAt(cluster, 18 * MINUTE, decrypts));
  expect(log()).not.toContain('RetireDomainKeys');

  letPass(cluster, 21 * MINUTE);
  await eventually('they are retired', () => log().includes('"command":"RetireDomainKeys"'), 90_000);
  await eventually('what was encrypted before decrypts', () => callAt(cluster, 21 * MINUTE, decrypts));
});

test('a worker whose clock is an hour ahead makes no token that anybody takes, and customers do not notice', async () => {
  await using cluster = await startTestCluster({ nodeArgs, workers: 3 });
  const decrypts = await encrypted(kmsClient(cluster));
  const [wrong, right] = cluster.home.workerNames as [string, string];
  const { domain, signer, redis } = cliOptionsOf(cluster);
  const generation = async () => (await keyfleetJson<DomainView>('domain', 'show', ...domain)).generation;
  const before = await generation();

  shiftClock(cluster, HOUR, wrong);
  await eventually('the doctor names the clock', async () => {
    const { exitCode, out } = await runKeyfleet('doctor', ...domain, ...redis);
    return exitCode === 1 && /NOT WELL {2}clocks: .* is (3599|360[0-9]) s ahead/.test(out);
  });
  const refused = await runKeyfleet('domain', 'rotate', '--preparer', wrong, ...domain, ...signer);
  expect(`${refused.out}${refused.notes}`).toMatch(/a clock is wrong/);
  expect(await generation()).toBe(before);
  expect(await decrypts()).toBe(true);

  expect(await runKeyfleet('domain', 'rotate', '--preparer', right, ...domain, ...signer)).toMatchObject({
    exitCode: 0,
  });
  expect(await generation()).toBe(before + 1);
  expect(await decrypts()).toBe(true);
});

test('a worker whose clock is an hour behind is left out until it is right, and then catches up by itself', async () => {
  await using cluster = await startTestCluster({ nodeArgs, workers: 3 });
  const decrypts = await encrypted(kmsClient(cluster));
  const [behind, right] = cluster.home.workerNames as [string, string];
  const { domain, signer } = cliOptionsOf(cluster);
  shiftClock(cluster, -HOUR, behind);
  expect(await runKeyfleet('domain', 'rotate', '--preparer', right, ...domain, ...signer)).toMatchObject({
    exitCode: 0,
  });
  const { generation } = await keyfleetJson<DomainView>('domain', 'show', ...domain);
  expect(generation).toBe(2);
  const log = () => readFileSync(cluster.home.in('log', `${behind}.log`), 'utf8');
  await eventually('it refuses the token', () => log().includes('from-the-future'));
  expect(await decrypts()).toBe(true);

  shiftClock(cluster, 0, behind);
  await eventually('it has caught up', () => /"generation":2\b.*domain token installed/.test(log()), 60_000);
  expect(await decrypts()).toBe(true);
});

test('a domain-manager whose clock is minutes off lets the other one lead, and the domain goes on', async () => {
  await using fleet = await newFleet({ workers: 3, managers: 2, rotateEvery: '1s', nodeArgs });
  await fleet.startAll();
  await fleet.found();
  using clients = new DisposableStack();
  const [first, second] = [0, 1].map((index) =>
    clients.use(new DomainManagerClient(fleet.manager(index), plaintextPeers.credentials)),
  ) as [DomainManagerClient, DomainManagerClient];
  const { leader, replica } = await first.status();
  const [leading, following] = leader === replica ? [1, second] : [2, first];
  writeFileSync(fleet.path(`clock-domain-manager-${leading}`), String(6 * MINUTE));
  await eventually('the other one leads', async () => {
    const status = await following.status();
    return status.leader === status.replica;
  });
  const generation = async () => (await following.getDomain(fleet.anchor)).state.generation;
  const before = await generation();
  await eventually('domain keys rotate', async () => (await generation()) >= before + 2);
});
