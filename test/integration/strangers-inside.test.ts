import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { KmsLatency, type Latencies } from '@keyfleet/test-support/kms-latency';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setInterval as ticks } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { DomainManager, Hsm } from '@keyfleet/proto';
import { unary } from '@keyfleet/proto/unary';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** How long a client encrypts under each attack, in milliseconds: longer than a call may stay without its request. */
const LONG = 6_000;
/** Before what is compared: of its first calls some are slow because they are the first. */
const WARMUP = 2_000;
const MAX_GROWTH_MB = 60;
/**
 * Between two fetches of tokens: more often than a fleet asks, and a twentieth of what the domain-manager allows one
 * address, which is all of it here.
 */
const FETCH_EVERY_MS = 100;
/**
 * Little room for garbage: what the processes grow by is then what the attack makes them hold. One that needs more than
 * this ends.
 */
const nodeArgs = ['--max-semi-space-size=2', '--max-old-space-size=128'];

let cluster: TestCluster;
let kms: KmsLatency;
let calm: Latencies;

beforeAll(async () => {
  cluster = await startTestCluster({ workers: 2, nodeArgs });
  kms = await KmsLatency.start(cluster);
  await kms.measure(WARMUP);
  calm = await kms.measure(LONG);
});

afterAll(async () => {
  kms[Symbol.dispose]();
  await cluster[Symbol.asyncDispose]();
});

function startAttack(name: string, { port, method }: { port: number; method: string }): ChildProcess {
  const script = join(import.meta.dirname, '../support/strangers.ts');
  return spawn(process.execPath, [script, name, '', String(port), method], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Megabytes resident (proc_pid_status(5), VmRSS). */
function memoryOf(process: string): number {
  const text = readFileSync(`/proc/${cluster.pid(process)}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)![1]) / 1024;
}

/**
 * Asks the domain-manager for tokens as workers and frontends do. Never throws: what failed is told with what did not.
 */
async function fetchTokensUntil(stop: AbortSignal): Promise<{ fetched: number; refused: string[] }> {
  using client = Object.assign(
    new DomainManager(`127.0.0.1:${cluster.ports.domainManager}`, credentials.createInsecure()),
    { [Symbol.dispose]: () => client.close() },
  );
  let fetched = 0;
  const refused: string[] = [];
  for await (const _ of ticks(FETCH_EVERY_MS)) {
    if (stop.aborted) break;
    try {
      await unary(client, DomainManager.service.FetchTokens, {}, 30_000);
      fetched++;
    } catch (error) {
      refused.push(String(error));
    }
  }
  return { fetched, refused };
}

/**
 * `fetched`: how often the domain-manager gave out tokens meanwhile, and `refused` how often not; `most`: of the
 * process's memory.
 */
async function measureUnder(name: string, target: { process: string; port: number; method: string }) {
  let most = 0;
  const looking = setInterval(() => (most = Math.max(most, memoryOf(target.process))), 50);
  const attacker = startAttack(name, target);
  const stop = new AbortController();
  try {
    await once(attacker.stdout!, 'data');
    const fetching = fetchTokensUntil(stop.signal);
    const attacked = await kms.measure(LONG);
    stop.abort();
    return { attacked, ...(await fetching), most };
  } finally {
    stop.abort();
    clearInterval(looking);
    attacker.kill('SIGKILL');
    await once(attacker, 'exit');
  }
}

const worker = () => ({ process: 'hsm-worker-1', port: cluster.ports.workers[0]! });
const domainManager = () => ({ process: 'domain-manager', port: cluster.ports.domainManager });

describe('a fleet serves on, and grows by little, while someone without credentials', () => {
  test.each([
    ['holds 60 calls of 4 MiB short of a byte to a worker', 'held calls', worker, Hsm.service.InstallDomainTokens],
    ['holds thousands of calls to a worker', 'held small calls', worker, Hsm.service.NegotiateSession],
    ['opens streams to a worker over and over', 'endless calls', worker, Hsm.service.Execute],
    ['holds 256 connections to a worker', 'many connections', worker, Hsm.service.Execute],
    ['holds 60 calls to the domain-manager', 'held calls', domainManager, DomainManager.service.StoreToken],
    ['holds thousands of calls to it', 'held small calls', domainManager, DomainManager.service.FetchTokens],
    ['sends it tokens over and over', 'endless calls', domainManager, DomainManager.service.StoreToken],
  ] as const)('%s', async (_, attack, target, { path }) => {
    const { process, port } = target();
    const before = memoryOf(process);
    const { attacked, fetched, refused, most } = await measureUnder(attack, { process, port, method: path });
    console.log(
      `${attack} at ${path}: ${process} from ${Math.round(before)} to ${Math.round(most)} MB, p50 ${attacked.p50} ms (calm ${calm.p50}), p99 ${attacked.p99} ms (calm ${calm.p99})`,
    );
    expect(refused).toEqual([]);
    expect(fetched).toBeGreaterThan(0);
    expect(attacked.failures).toEqual([]);
    expect(attacked.p99).toBeLessThan(await kms.limitOf(attacked, { calm, forMs: LONG }));
    expect(most - before).toBeLessThan(MAX_GROWTH_MB);
  });
});
