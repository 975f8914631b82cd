import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { KmsLatency, type Latencies } from '@keyfleet/test-support/kms-latency';
import { once } from 'node:events';
import { join } from 'node:path';
import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** How long a client encrypts under each attack, in milliseconds. */
const LONG = 6_000;
/** Before what is compared: of its first calls some are slow because they are the first. */
const WARMUP = 2_000;

let cluster: TestCluster;
let kms: KmsLatency;
let calm: Latencies;

beforeAll(async () => {
  cluster = await startTestCluster();
  kms = await KmsLatency.start(cluster);
  await kms.measure(WARMUP);
  calm = await kms.measure(LONG);
});

afterAll(async () => {
  kms[Symbol.dispose]();
  await cluster[Symbol.asyncDispose]();
});

function startAttack(name: string): ChildProcess {
  const script = join(import.meta.dirname, '../support/strangers.ts');
  const { http, grpc } = cluster.ports;
  return spawn(process.execPath, [script, name, String(http), String(grpc), cluster.credentials.accessKeyId], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function measureUnder(attack: string): Promise<Latencies> {
  const attacker = startAttack(attack);
  try {
    await once(attacker.stdout!, 'data');
    return await kms.measure(LONG);
  } finally {
    attacker.kill('SIGKILL');
    await once(attacker, 'exit');
  }
}

describe('a client goes on encrypting while someone without credentials', () => {
  test.each([
    ['sends 256 bodies that nobody signed, and stops before their end', 'uploads'],
    ['sends 256 bodies that name an access key, and stops before their end', 'named uploads'],
    ['lets 256 bodies trickle in', 'slow bodies'],
    ['sends 11,000 requests at once on each of four connections', 'pipeline'],
    ['opens as many gRPC calls as it may on each of 16 connections, over and over', 'streams'],
    ['sends a megabyte with each call on 8 gRPC connections', 'stream messages'],
  ])('%s', async (_, attack) => {
    const attacked = await measureUnder(attack);
    console.log(
      `${attack}: p50 ${attacked.p50} ms (calm ${calm.p50}), p99 ${attacked.p99} ms (calm ${calm.p99}), ${attacked.failures.length} of ${attacked.count} failed`,
    );
    expect(attacked.failures).toEqual([]);
    expect(attacked.p99).toBeLessThan(await kms.limitOf(attacked, { calm, forMs: LONG }));
  });
});
