import { activeDomainKey } from '@keyfleet/shared/domain/state';
import { mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import { checkDurability } from '@keyfleet/shared/redis/durability';
import { troubleWith } from '@keyfleet/shared/redis/store-guard';
import { readStoreIdentity } from '@keyfleet/shared/redis/store-identity';
import { RESTORE } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';
import { standingsOf, summaryOf } from '../domain-key-summary.ts';
import type { OpenDomain } from '../options.ts';
import type { Progress } from '../progress.ts';
import { countTokens, damagedText } from '../sealed-census.ts';
import { checkDates } from './dates.ts';
import { checkRecordKey } from './record-key.ts';
import { checkReplicas, followersOf, type RedisServers } from './replicas.ts';
import { checkFrontends, CLOCK_TOLERANCE_MS } from './frontends.ts';

export interface Patient extends OpenDomain {
  readonly openRedis: () => Promise<RedisClient & AsyncDisposable>;
  /** If empty, no replica is compared: the password is sent to nobody whom only Redis names. */
  readonly redisServers: RedisServers;
  /** Where they listen for HTTP; if empty, they are not asked. */
  readonly frontends: readonly string[];
  readonly progress: Progress;
}

/** Each check returns what it found, or throws an error that says what is wrong and what to do. */
type Checks = Readonly<Record<string, (patient: Patient) => Promise<string>>>;

/** Quick, however much is stored. */
const checks: Checks = {
  Redis: checkRedis,
  store: checkStore,
  'domain-manager': checkManager,
  NATS: checkNats,
  'domain tokens': checkTokens,
  clocks: checkClocks,
  'hsm-workers': checkWorkers,
  'record key': checkStoredRecordKey,
};

/** `census`: also reads everything that is stored. `deep`: looks at each name, at least. */
export function checksOf(
  { frontends, redisServers }: Patient,
  { census, deep }: Readonly<Record<'census' | 'deep', boolean>>,
): Checks {
  return {
    ...checks,
    ...(frontends.length > 0 && { frontends: ({ frontends: urls }) => checkFrontends(urls) }),
    ...(redisServers.nodes.length > 0 && { 'replicas of Redis': checkStoredReplicas }),
    ...(census && { 'domain keys': checkDomainKeys }),
    ...((census || deep) && { dates: checkStoredDates }),
  };
}

async function checkRedis({ openRedis }: Patient): Promise<string> {
  await using redis = await openRedis();
  const { replicas } = await checkDurability(redis, 'strict');
  await assertTakesWrites(redis, replicas);
  if ((await redis.exists(RESTORE)) === 1) {
    throw new CliError('a restore is unfinished: run it again with the same backup, before a frontend starts.');
  }
  const followers = (await Promise.all(mastersOf(redis).map(followersOf))).flat();
  const named = followers.length > 0 ? `; its replicas are ${followers.join(', ')}` : '';
  return `answers, and keeps every acknowledged write${named}`;
}

/** Redis refuses every write while fewer replicas than `min-replicas-to-write` answer it. */
async function assertTakesWrites(redis: RedisClient, replicas: number): Promise<void> {
  for (const master of mastersOf(redis)) {
    const [, answering = replicas] = /^min_slaves_good_slaves:(\d+)/m.exec(await master.info('replication')) ?? [];
    if (Number(answering) >= replicas) continue;
    throw new CliError(
      `it accepts no writes: every write must reach ${replicas} replicas, and ${answering} answer. Start the others, or see whether another node took over.`,
    );
  }
}

/** Checks that it is the store that services know, and holds what they know of. */
async function checkStore({ client, anchor, openRedis }: Patient): Promise<string> {
  await using redis = await openRedis();
  const { generation = 0, store_problem: problem } = await client.status();
  if (problem) throw new CliError(problem);
  const seen = await readStoreIdentity(redis, anchor.domain);
  const trouble = troubleWith(seen, undefined, { generation });
  if (trouble !== undefined) throw new CliError(`${trouble}: docs/recovery.md, "The store is not as it was".`);
  return `${seen.id}, which has lost nothing`;
}

async function checkManager({ client, anchor }: Patient): Promise<string> {
  const { leader, domain, scheduler_problem: problem } = await client.status();
  if (domain !== anchor.domain)
    throw new CliError(`it serves the domain '${domain}', not '${anchor.domain}': give it this trust anchor.`);
  if (problem) throw new CliError(`${problem}.`);
  if (!leader) throw new CliError('no replica leads: see the logs of the domain-managers.');
  return `answers; ${leader} leads`;
}

async function checkNats({ client }: Patient): Promise<string> {
  const { nats_connected: connected } = await client.status();
  if (!connected) {
    throw new CliError(
      'the domain-manager cannot reach it: resealing waits, and so do deletions and rotations of keys that are due. Start NATS, or correct nats in the configuration of the domain-manager.',
    );
  }
  return 'the domain-manager reaches it';
}

async function checkTokens({ client, anchor }: Patient): Promise<string> {
  const { state } = await client.getDomain(anchor);
  return `all ${state.generation} verify from the trust anchor; generation ${state.generation}`;
}

async function checkClocks({ client, anchor, openRedis }: Patient): Promise<string> {
  await using redis = await openRedis();
  const { now = 0, workers = [] } = await client.status();
  const managerAhead = now - Date.now();
  const [seconds, microseconds] = (await redis.time()).map(Number) as [number, number];
  const { state } = await client.getDomain(anchor);
  const ahead: [string, number][] = [
    ['the domain-manager', managerAhead],
    ['Redis', seconds * 1000 + microseconds / 1000 - Date.now()],
    ...workers.map(({ address = '', clock_ahead: by = 0 }): [string, number] => [address, managerAhead + by]),
    // A domain key is dated by a worker's clock: a date in the future reveals a clock that has since been corrected.
    ['the newest domain key', Math.max(0, activeDomainKey(state).createdAt - Date.now())],
  ];
  const wrong = ahead.filter(([, by]) => Math.abs(by) > CLOCK_TOLERANCE_MS);
  if (wrong.length > 0) {
    const said = wrong.map(
      ([who, by]) => `${who} is ${Math.round(Math.abs(by) / 1000)} s ${by > 0 ? 'ahead' : 'behind'}`,
    );
    throw new CliError(`compared with this machine's clock, ${said.join(', ')}: synchronize all of them with NTP.`);
  }
  return 'agree with this machine';
}

async function checkWorkers({ client }: Patient): Promise<string> {
  const { workers = [], generation = 0 } = await client.status();
  const unwell = workers.filter(({ standing, problem }) => standing === 'unreachable' || problem);
  if (unwell.length > 0) {
    const said = unwell.map(({ address, problem }) => `${address}: ${problem || 'unreachable'}`);
    throw new CliError(`${said.join('; ')}. Start them, or see their logs.`);
  }
  const members = workers.filter(({ standing }) => standing === 'member').length;
  if (members < 2) throw new CliError(`only ${members} serves: admit another, so that one can fail.`);
  return `${members} members, all reached, generation ${generation}`;
}

async function checkStoredRecordKey({ client, anchor, openRedis }: Patient): Promise<string> {
  await using redis = await openRedis();
  return await checkRecordKey(redis, (await client.getDomain(anchor)).state);
}

async function checkStoredDates({ openRedis, progress }: Patient): Promise<string> {
  await using redis = await openRedis();
  return await checkDates(redis, progress);
}

async function checkStoredReplicas({ openRedis, redisServers, progress }: Patient): Promise<string> {
  await using redis = await openRedis();
  return await checkReplicas(redis, redisServers, progress);
}

/** Under which domain keys everything in Redis is sealed: counted here, not taken from anyone's report. */
async function checkDomainKeys({ client, anchor, openRedis, progress }: Patient): Promise<string> {
  await using redis = await openRedis();
  const { state } = await client.getDomain(anchor);
  const { byDomainKey, damaged } = await countTokens(redis, progress);
  if (damaged.length > 0) throw new CliError(`${damagedText(damaged)}.`);
  const unknown = [...byDomainKey].filter(([id]) => state.domainKeys.every((key) => key.id !== id));
  if (unknown.length > 0) {
    const tokens = unknown.reduce((sum, [, count]) => sum + count, 0);
    throw new CliError(
      `${tokens} tokens are sealed under domain keys that the domain does not have: restore its newest domain tokens.`,
    );
  }
  const retired = state.domainKeys.filter(({ id, status }) => status === 'retired' && byDomainKey.has(id));
  if (retired.length > 0) {
    const ids = retired.map(({ id }) => id.slice(0, 8)).join();
    throw new CliError(
      `${retired.reduce((sum, { id }) => sum + byDomainKey.get(id)!, 0)} tokens are sealed under retired domain keys and do not open: ` +
        `if a backup was restored, run keyfleet domain reinstate ${ids} (docs/recovery.md); otherwise somebody planted them.`,
    );
  }
  const { id: active } = activeDomainKey(state);
  const counts = state.domainKeys
    .toReversed()
    .filter(({ id }) => id === active || byDomainKey.has(id))
    .map(({ id, status }) => `${byDomainKey.get(id) ?? 0} under ${id.slice(0, 8)} (${status})`);
  return `tokens: ${counts.join(', ')}; ${summaryOf(standingsOf(state), Date.now())}`;
}
