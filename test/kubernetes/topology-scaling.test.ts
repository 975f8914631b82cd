import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Founded, startFounded } from './support/topology/found.ts';
import type { Laptop } from './support/topology/laptop.ts';
import { outcomesOf, report, SdkLoad } from './support/topology/sdk-load.ts';
import { writeWorkerCount } from './support/worker-count.ts';

// "Workers: more, fewer, lost" of docs/kubernetes.md, its commands as they stand, under a load of the AWS SDK. The
// tests build on each other.

const ADDED = 'hsm-worker-3';
const ALONE_MS = 2_000;
const IDENTITY = '/var/lib/keyfleet/identity.pub.json';

let topology: Founded;
let laptop: Laptop;
let deploy: string;
beforeAll(async () => {
  topology = await startFounded();
  ({ laptop } = topology);
  deploy = join(laptop.directory, 'deploy');
  cpSync(join(import.meta.dirname, '../../deploy'), deploy, { recursive: true });
});
afterAll(() => topology?.[Symbol.asyncDispose]());

test('a worker is added by quorum, and no call fails meanwhile', async () => {
  await using load = await SdkLoad.start(topology, { pauseMs: 100 });
  writeWorkerCount(deploy, 4);
  await laptop.runDocumented('seal-key.json');
  const added = topology.pod(ADDED);
  await expect.poll(async () => (await added.exec(['cat', IDENTITY])).exitCode, { timeout: 60_000 }).toBe(0);
  expect(added.ready).toBe(false);
  await laptop.runDocumented('member admit');
  await laptop.runDocumented('domain approve');
  await topology.awaitReady('hsm-worker');
  await noneFailed(load, 'a worker more');
}, 600_000);

test('it serves alone when the others are gone', async () => {
  const others = topology.pods('hsm-worker').filter(({ name }) => name !== ADDED);
  for (const pod of others) pod.kill();
  await using load = await SdkLoad.start(topology, { pauseMs: 100 });
  await delay(ALONE_MS);
  await noneFailed(load, 'the added worker alone');
  for (const pod of others) pod.release();
  await topology.awaitReady('hsm-worker');
}, 300_000);

test('it is removed by quorum and leaves, its volume is deleted, and no call fails meanwhile', async () => {
  await using load = await SdkLoad.start(topology, { pauseMs: 100 });
  for (const proposed of ['member remove', 'member leave']) {
    await laptop.runDocumented(proposed);
    await laptop.runDocumented('domain approve');
  }
  writeWorkerCount(deploy, 3);
  await laptop.runDocumented('delete pvc identity-hsm-worker-3');
  expect(topology.pods('hsm-worker').map(({ name }) => name)).not.toContain(ADDED);
  expect(Object.keys(topology.objects.secrets.get('hsm-worker-seal-keys')!)).not.toContain(ADDED);
  await noneFailed(load, 'a worker fewer');
}, 600_000);

test('the checkpoint of the trust anchor moves to the newest domain token', async () => {
  await laptop.runDocumented('domain checkpoint');
  const read = (file: string) => JSON.parse(readFileSync(join(laptop.directory, file), 'utf8')) as object;
  const checkpoint = { generation: expect.any(Number) as number, hash: expect.any(String) as string };
  expect(read('checkpoint.json')).toEqual({ ...read('trust-anchor.json'), checkpoint });
});

async function noneFailed(load: SdkLoad, what: string): Promise<void> {
  const outcomes = outcomesOf(await load.stop());
  report(what, outcomes);
  expect(outcomes.flatMap(({ errors }) => errors)).toEqual([]);
}
