import { execa } from 'execa';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { newPort } from '../../tools/ports.ts';
import { startRedis, type TestServer } from './servers.ts';

const SLOTS = 16_384;

export interface RedisCluster {
  /** What a service's configuration has. */
  readonly url: string;
  readonly masters: readonly TestServer[];
}

/** A Redis Cluster of `size` masters, each with `replicas` replicas and its share of the slots. */
export async function startRedisCluster(
  size: number,
  replicas: number,
  resources: AsyncDisposableStack,
): Promise<RedisCluster> {
  const servers: TestServer[] = [];
  for (let i = 0; i < size * (1 + replicas); i++) {
    const settings = ['--cluster-enabled', 'yes', '--cluster-port', `${await newPort()}`];
    const ofReplicas = replicas === 0 ? [] : ['--repl-diskless-sync-delay', '0'];
    servers.push(resources.use(await startRedis([...settings, ...ofReplicas])));
  }
  const masters = servers.slice(0, size);
  await asCluster(servers, async (nodes) => {
    const first = servers[0]!.port;
    const [, busPort] = (await nodes[0]!.config('GET', 'cluster-port')) as string[];
    for (const [i, node] of nodes.entries()) {
      if (i > 0) await node.call('CLUSTER', 'MEET', '127.0.0.1', first, busPort!);
      const [from, to] = [Math.floor((SLOTS * i) / size), Math.floor((SLOTS * (i + 1)) / size) - 1];
      if (i < size) await node.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
    }
    for (const node of nodes) await all(node, servers.length);
    for (const [i, node] of nodes.slice(size).entries()) {
      await node.call('CLUSTER', 'REPLICATE', await idOf(nodes[i % size]!));
    }
    for (const node of nodes) await until(async () => (await node.cluster('INFO')).includes('cluster_state:ok'));
    for (const node of nodes.slice(0, size)) {
      const online = async () => (await node.info('replication')).match(/state=online/g)?.length ?? 0;
      await until(async () => (await online()) === replicas);
    }
  });
  return { url: `redis+cluster://${masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}`, masters };
}

/** Moves slots with all that they hold from one master to another, as an operator does it. */
export async function reshard(from: TestServer, to: TestServer, slots: number): Promise<void> {
  await asCluster([from, to], async ([source, target]) => {
    const which = ['--cluster-from', await idOf(source!), '--cluster-to', await idOf(target!)];
    const settings = ['--cluster-slots', `${slots}`, '--cluster-yes'];
    await execa('redis-cli', ['--cluster', 'reshard', `127.0.0.1:${from.port}`, ...which, ...settings]);
  });
}

async function asCluster(servers: readonly TestServer[], run: (nodes: Redis[]) => Promise<void>): Promise<void> {
  const nodes = servers.map(({ port }) => new Redis(port, '127.0.0.1'));
  try {
    await Promise.all(nodes.map((node) => once(node, 'ready')));
    await run(nodes);
  } finally {
    for (const node of nodes) node.disconnect();
  }
}

async function idOf(node: Redis): Promise<string> {
  return String(await node.cluster('MYID'));
}

/** It knows all the others, by name. */
async function all(node: Redis, size: number): Promise<void> {
  await until(async () => {
    const lines = String(await node.call('CLUSTER', 'NODES'))
      .trim()
      .split('\n');
    return lines.length === size && !lines.some((line) => line.includes('handshake'));
  });
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(50);
}
