import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { type Failure, KmsLoad } from '@keyfleet/test-support/kms-load';
import { newSeeded, type Seeded, seedOf } from '@keyfleet/test-support/seeded';
import { countTokensByDomainKey, redisOf } from '@keyfleet/test-support/stored-tokens';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';

const CHAOS_MS = 60_000;
const CLIENTS = 6;
const ROTATE_EVERY = '4s';
/** Long over for all but the newest domain keys when the test drops them. */
const BACKUP_HORIZON_MS = 8_000;
const MANAGERS = ['domain-manager', 'domain-manager-2'];

/** A time when something was away, from its kill until a caller who tries once is served. */
interface Outage {
  readonly names: readonly string[];
  readonly from: number;
  to: number;
}

/** Names of what the frontend answers when it cannot do its work, after all retries of the SDK. */
const unavailable = ['DependencyTimeoutException', 'KMSInternalException'];

/**
 * The failure promises: while Redis is away what is not cached fails in bounded time, with an error of AWS that says to
 * retry; while the only frontend is away there is nobody to connect to. Nothing else that is killed may be seen by a
 * caller.
 */
function isPromised({ error, startedAt, endedAt }: Failure, outages: readonly Outage[]): boolean {
  const away = (name: string): boolean =>
    outages.some(({ names, from, to }) => names.includes(name) && startedAt <= to && endedAt >= from);
  if (away('frontend')) return true;
  return away('redis') && unavailable.includes(error.name);
}

/** Resolves when each kind of call succeeds that needs anything of what can be killed, at the first try. */
async function served(caller: KmsLoad): Promise<void> {
  await eventually('a caller is served again', async () => {
    await caller.create();
    await caller.decrypt(await caller.encrypt(caller.keys.at(-1)!));
    return true;
  });
}

/** Kills and restarts until the time is over, everything at least once. */
async function wreak(cluster: TestCluster, caller: KmsLoad, random: Seeded): Promise<Outage[]> {
  const outages: Outage[] = [];
  const until = Date.now() + CHAOS_MS;
  const turns: string[] = [];
  while (Date.now() < until) {
    if (turns.length === 0) turns.push(...shuffled(random));
    const victim = turns.pop()!;
    const names = [victim === 'leader' ? await leaderOf(cluster) : victim];
    const other = random.pick([...cluster.names]);
    // Sometimes two at once, but never every worker or the only one of something twice.
    if (random.next() < 0.3 && !other.startsWith('hsm-worker') && !names.includes(other)) names.push(other);
    const outage = { names, from: Date.now(), to: Infinity };
    outages.push(outage);
    await cluster.kill(...names);
    await delay(random.between(0, 1_500));
    await cluster.restart(...names);
    await served(caller);
    outage.to = Date.now();
    await delay(random.between(100, 1_500));
  }
  return outages;
}

function shuffled(random: Seeded): string[] {
  const victims = ['hsm-worker-1', 'hsm-worker-2', 'hsm-worker-3', 'nats', 'redis', 'leader', 'frontend'];
  return victims.map((name) => ({ name, at: random.next() })).toSorted((a, b) => a.at - b.at).map(({ name }) => name); // prettier-ignore
}

function managersOf({ ports }: TestCluster): string[] {
  return [ports.domainManager, ...ports.otherDomainManagers].map((port) => `127.0.0.1:${port}`);
}

/** The first if nobody knows: it is going to lead, or the other is. */
async function leaderOf(cluster: TestCluster): Promise<string> {
  for (const [index, address] of managersOf(cluster).entries()) {
    using client = new DomainManagerClient(address, plaintextPeers.credentials);
    const { leader, replica } = await client.status().catch(() => ({ leader: '', replica: undefined }));
    if (leader === replica) return MANAGERS[index]!;
  }
  return MANAGERS[0]!;
}

/** No more rotations from now on, so that what must come to its end can be seen to. */
async function stopRotating(cluster: TestCluster): Promise<void> {
  await cluster.kill(...MANAGERS);
  for (const name of MANAGERS) {
    const file = cluster.home.in('config', `${name}.json`);
    const config = JSON.parse(readFileSync(file, 'utf8')) as object;
    writeFileSync(file, JSON.stringify({ ...config, rotation: { every: '24h' } }));
  }
  await cluster.restart(...MANAGERS);
}

async function awaitQuiet(client: DomainManagerClient): Promise<void> {
  await eventually(
    'every worker is a member without a problem, and resealing is proved',
    async () => {
      const { workers = [], reseal, leader, absent_members } = await client.status();
      const isWell = workers.every(({ standing, problem = '' }) => standing === 'member' && problem === '');
      const isComplete = reseal?.verified === true && (reseal.remaining ?? 0) === 0;
      return isWell && isComplete && workers.length === 3 && leader !== '' && (absent_members ?? []).length === 0;
    },
    60_000,
  );
}

/** What people do once resealing is proved: whatever still were under an old domain key would be lost now. */
async function dropOldKeys(cluster: TestCluster): Promise<void> {
  const { domain, signer, redis } = cliOptionsOf(cluster);
  const dropped = await runKeyfleet('domain', 'drop', 'all-old', ...domain, ...signer, ...redis);
  expect(dropped).toMatchObject({ exitCode: 0, out: expect.stringContaining('Done: the domain is at generation') });
}

test('a minute of rotations and kills under load: nothing that was acknowledged is lost, and callers see only what was promised', async () => {
  const seed = seedOf('chaos');
  await using cluster = await startTestCluster({
    workers: 3,
    domainManagers: MANAGERS.length,
    rotateEvery: ROTATE_EVERY,
    backupHorizonMs: BACKUP_HORIZON_MS,
  });
  const kms = kmsClient(cluster, { maxAttempts: 3 });
  const load = new KmsLoad(kms, newSeeded(seed + 1));
  load.start(CLIENTS);
  const once = kmsClient(cluster, { maxAttempts: 1 });
  const outages = await wreak(cluster, new KmsLoad(once, newSeeded(seed + 2)), newSeeded(seed));
  once.destroy();
  await load.stop();
  process.stderr.write(
    `chaos: ${outages.length} kills, ${load.succeeded} calls, ${load.keys.length} keys, ${load.failures.length} failures\n`,
  );

  await stopRotating(cluster);
  using client = new DomainManagerClient(managersOf(cluster)[0]!, plaintextPeers.credentials);
  await awaitQuiet(client);
  await dropOldKeys(cluster);
  const { state } = await client.getDomain(parseTrustAnchor(readFileSync(cluster.home.trustAnchorFile, 'utf8')));
  // The test is worth something only if domain keys were made and dropped.
  expect(state.generation).toBeGreaterThan(8);
  expect(state.domainKeys.length).toBeLessThan(state.generation);
  expect(load.failures.filter((failure) => !isPromised(failure, outages))).toEqual([]);

  const redis = redisOf(cluster);
  const counts = await countTokensByDomainKey(redis).finally(() => redis.disconnect());
  expect([...counts.keys()]).toEqual([state.domainKeys.at(-1)!.id]);
  expect(counts.get(state.domainKeys.at(-1)!.id)).toBeGreaterThanOrEqual(load.keys.length);

  for (let from = 0; from < load.sealed.length; from += 64) {
    await Promise.all(load.sealed.slice(from, from + 64).map((sealed) => load.decrypt(sealed)));
  }
  for (let from = 0; from < load.keys.length; from += 64) {
    await Promise.all(load.keys.slice(from, from + 64).map(async (key) => load.decrypt(await load.encrypt(key))));
  }
  expect(load.wrong).toEqual([]);
  kms.destroy();
}, 180_000);
