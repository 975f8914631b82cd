import { isCluster, mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import { checkDurability } from '@keyfleet/shared/redis/durability';
import { CliError } from '../cli-error.ts';
import type { Progress } from '../progress.ts';
import type { RedisNode } from '../redis-option.ts';
import { differencesOf, MOST_DIFFERENCES } from './compare-replica.ts';
import { checkDates } from './dates.ts';
import { type Sentinels, tooManyKnown } from './known-nodes.ts';

/** The replicas of one node, as it names them: by what each of them says is its address. */
export async function followersOf(node: RedisClient): Promise<string[]> {
  const found = (await node.info('replication')).matchAll(/^slave\d+:ip=(.*?),port=(\d+),/gm);
  return [...found].map(([, host, port]) => `${host}:${port}`);
}

/** All that the operator names. */
export interface RedisServers {
  readonly nodes: readonly RedisNode[];
  readonly sentinels: Sentinels;
}

interface Master {
  readonly client: RedisClient;
  readonly standing: Standing;
}

interface Standing {
  readonly runId: string | undefined;
  readonly isMaster: boolean;
  /** Of the writes that it has: a master's and its replicas' are the same. */
  readonly history: string | undefined;
  readonly isLinked: boolean;
}

/**
 * Whether the replicas among `nodes` have what their masters have, and nobody else follows one of these. Only these are
 * sent the password: whoever follows a master is named by it. Throws CliError.
 */
export async function checkReplicas(
  redis: RedisClient,
  { nodes, sentinels }: RedisServers,
  progress: Progress,
): Promise<string> {
  const masters = await Promise.all(
    mastersOf(redis).map(async (client) => ({ client, standing: await standingOf(client) })),
  );
  const followers = await Promise.all(masters.map(({ client }) => followersOf(client)));
  const looks = await Promise.all(nodes.map((node) => lookAt(node, masters, { redis, progress })));
  const names = [...followers, ...looks.map(({ followers: own }) => own)].flat();
  const replicas = looks.filter(({ isMaster }) => !isMaster).length;
  const problems = [...looks.flatMap((look) => look.problems), ...(await tooManyKnown(redis, nodes, sentinels))];
  if (names.length > replicas) {
    problems.unshift(
      `${names.length} replicas follow (${names.join(', ')}), and --redis-nodes names ${replicas}: one that is not yours reads everything, and may become the master. ` +
        'Name all of yours, or see "CLIENT LIST TYPE replica", and docs/recovery.md, "A replica of Redis has something else"',
    );
  }
  if (problems.length > 0) throw new CliError(`${problems.join('; ')}.`);
  return `${replicas} have what their masters have, and nobody else follows or is known`;
}

interface Look {
  readonly isMaster: boolean;
  /** Of a replica. */
  readonly followers: readonly string[];
  readonly problems: readonly string[];
}

async function lookAt(
  { address, open }: RedisNode,
  masters: readonly Master[],
  { redis, progress }: { readonly redis: RedisClient; readonly progress: Progress },
): Promise<Look> {
  const unwell = (problem: string): Look => ({ isMaster: false, followers: [], problems: [`${address}: ${problem}`] });
  try {
    await using client = await open();
    if (isCluster(redis)) await client.call('READONLY');
    const { isMaster, isLinked, history, runId } = await standingOf(client);
    if (isMaster && masters.some(({ standing }) => standing.runId === runId))
      return { isMaster, followers: [], problems: [] };
    if (isMaster) return { ...unwell('it is a master, and --redis leads to another'), isMaster };
    const followers = await followersOf(client);
    const master = masters.find(({ standing }) => standing.history === history)?.client;
    if (master === undefined || !isLinked)
      return { ...unwell('it does not follow its master now, so nothing was compared'), followers };
    const problems = await problemsOf({ client, master, address }, progress);
    return { isMaster, followers, problems };
  } catch (error) {
    return unwell((error as Error).message);
  }
}

async function problemsOf(
  { client, master, address }: { client: RedisClient; master: RedisClient; address: string },
  progress: Progress,
): Promise<string[]> {
  const found = await differencesOf(client, master, (count) =>
    progress.tell(() => `replicas: ${count} values of ${address} compared`),
  );
  const more = found.length >= MOST_DIFFERENCES ? ['and it was compared no further'] : [];
  const remedy = 'See docs/recovery.md, "A replica of Redis has something else", before any node starts anew';
  // It may be the next master.
  const others = await Promise.allSettled([checkDates(client, progress), checkDurability(client, 'strict')]);
  return [
    ...(found.length > 0 ? [`${[...found, ...more].join(', ')}. ${remedy}`] : []),
    ...others.flatMap((other) => (other.status === 'rejected' ? [(other.reason as Error).message] : [])),
  ].map((problem) => `${address}: ${problem.replace(/\.$/, '')}`);
}

async function standingOf(node: RedisClient): Promise<Standing> {
  const info = await node.info('replication');
  return {
    runId: /^run_id:(\w+)/m.exec(await node.info('server'))?.[1],
    isMaster: /^role:master/m.test(info),
    history: /^master_replid:(\w+)/m.exec(info)?.[1],
    isLinked: /^master_link_status:up/m.test(info),
  };
}
