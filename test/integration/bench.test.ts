import { startTestCluster, type TestCluster, TIME_FOR_RSA } from '@keyfleet/test-support/cluster';
import { execa } from 'execa';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Latencies } from '../../bench/histogram/latencies.ts';
import { PreparedTarget } from '../../bench/measure/prepared-target.ts';
import type { Results } from '../../bench/measure/results.ts';
import { getScenario, scenarios } from '../../bench/scenarios/catalog.ts';
import { ofCluster, withCallers } from '../../bench/targets/started-targets.ts';
import { callerKinds } from '../../bench/targets/target-spec.ts';

const main = join(import.meta.dirname, '../../bench/run.ts');

function bench(...args: string[]) {
  const env = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'none' };
  return execa(process.execPath, [main, ...args], { env, reject: false });
}

test('a cluster, its gRPC edge and the prototype are measured in turn, through a kill of a worker', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-bench-test-'));
  const out = join(folder.path, 'run');
  const load = ['--scenario', 'encrypt', '--connections', '4', '--rate', '50%', '--seconds', '2', '--warmup', '0.5'];
  const targets = ['--target', 'keyfleet', '--target', 'keyfleet-grpc', '--prototype'];
  const { exitCode, stderr } = await bench(
    ...load,
    ...targets,
    '--during',
    'kill-hsm-worker',
    '--cpu-prof',
    '--out',
    out,
  );
  expect([exitCode, stderr]).toEqual([0, '']);

  const { points, profiles, generatorLimit, machine } = JSON.parse(readFileSync(`${out}.json`, 'utf8')) as Results;
  expect(points.map(({ target, loop }) => `${target} ${loop.kind}`)).toEqual([
    'keyfleet closed',
    'keyfleet-grpc closed',
    'prototype closed',
    'keyfleet open',
    'keyfleet-grpc open',
    'prototype open',
  ]);
  expect(machine.cores).toBeGreaterThan(0);
  expect(generatorLimit.perSecond).toBeGreaterThan(100);
  for (const { rounds } of points) {
    const [round] = rounds;
    const latencies = Latencies.decode(round!.latencies);
    expect(latencies.count).toBe(round!.requests);
    expect(round!.requests).toBeGreaterThan(10);
    expect(round!.processes['frontend']!.cpu).toBeGreaterThan(0);
  }
  const [round] = points[0]!.rounds;
  expect(round!.marks.map(({ what }) => what)).toEqual(['hsm-worker-1 killed', 'hsm-worker-1 is back']);
  expect(round!.processes['frontend']!.probe!.loop).toBeGreaterThan(0);
  expect(profiles.find(({ process }) => process === 'frontend')!.functions.length).toBeGreaterThan(10);
  expect(readFileSync(`${out}.html`, 'utf8')).toContain('hsm-worker-1 killed');
}, 240_000);

describe('on one cluster', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startTestCluster({ requestTimeout: TIME_FOR_RSA });
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  test('every scenario is right, over HTTP and over gRPC', async () => {
    const settings = { payload: 32, context: 2, keys: 2 };
    for (const kind of ['keyfleet', 'keyfleet-grpc'] as const) {
      using prepared = new PreparedTarget(ofCluster({ name: kind, kind }, cluster), () => undefined);
      for (const scenario of scenarios) {
        const work = { name: scenario.name, parts: [{ scenario, weight: 1 }], ...settings };
        const [pool] = await prepared.poolsFor(work);
        expect(pool!.requests.length, scenario.name).toBeGreaterThan(0);
      }
    }
  }, 240_000);

  test('callers of each kind may do what is timed, and nobody is granted what grants do not have', async () => {
    const settings = { payload: 32, context: 1, keys: 2 };
    const workOf = (name: string) => ({ name, parts: [{ scenario: getScenario(name), weight: 1 }], ...settings });
    for (const as of callerKinds) {
      const target = await withCallers(ofCluster({ name: as, kind: 'keyfleet' }, cluster), { as, callers: 2 }, cluster);
      expect(new Set(target.callers!.signings.map(({ accessKeyId }) => accessKeyId)).size).toBe(2);
      using prepared = new PreparedTarget(target, () => undefined);
      for (const name of ['encrypt', 'decrypt', 're-encrypt', 'sign-p256']) {
        const [pool] = await prepared.poolsFor(workOf(name));
        expect(pool!.requests.length, `${name} as ${as}`).toBeGreaterThan(0);
      }
      const making = prepared.poolsFor(workOf('create-key'));
      await (as === 'grant'
        ? expect(making).rejects.toThrow('CreateKey is answered with AccessDeniedException')
        : making);
    }
  }, 240_000);
});

test('a server that does not give back what it was given is not measured: one line, and exit code 1', async () => {
  // Every answer is well-formed, and Decrypt always says the same.
  const answer = { KeyMetadata: { Arn: 'a', KeySpec: 'SYMMETRIC_DEFAULT' }, CiphertextBlob: 'AAAA', Plaintext: 'AAAA' };
  await using server = createServer((request, response) => {
    request.resume().on('end', () => response.end(JSON.stringify(answer)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { exitCode, stderr } = await bench('--target', `wrong=http://127.0.0.1:${port}`, '--scenario', 'encrypt');
  server.closeAllConnections();
  expect(stderr).toBe('bench: wrong, encrypt: answers wrongly: what was encrypted does not decrypt to itself.');
  expect(exitCode).toBe(1);
});

test('a server that is not there is said in one line', async () => {
  const { exitCode, stderr } = await bench('--target', 'gone=http://127.0.0.1:1', '--scenario', 'encrypt');
  expect(stderr).toMatch(
    /^bench: gone, encrypt: gone does not answer at 127\.0\.0\.1:1: connect ECONNREFUSED 127\.0\.0\.1:1$/,
  );
  expect(exitCode).toBe(1);
});
