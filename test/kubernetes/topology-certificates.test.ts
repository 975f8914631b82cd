import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Founded, startFounded } from './support/topology/found.ts';
import { lastingConnections } from './support/topology/kept.ts';
import { presentingOthers } from './support/topology/presented.ts';
import { assertNoneFails } from './support/topology/sdk-load.ts';

// cert-manager renews certificates: kubelet exchanges the mounted files under a load of the AWS SDK, with its retries
// as they are by default.

/** Of certificates that are replaced before: longer than all take to read new files, one after the other. */
const SHORT_MS = 120_000;
/** Services look every two seconds, Redis and NATS every ten, and a Sentinel starts again. */
const READ_MS = 60_000;

let topology: Founded;
beforeAll(async () => void (topology = await startFounded()));
afterAll(() => topology?.[Symbol.asyncDispose]());

test('certificates and their authority are renewed, and nobody needs those before, which end; no call fails, no connection to Redis or NATS ends', async () => {
  const { certManager } = topology.objects;
  const endOfThoseBefore = Date.now() + SHORT_MS;
  const connected = await lastingConnections(topology);
  await noneFails('certificates are renewed', async () => {
    await certManager.issue(certManager.secretNames, SHORT_MS);
    await areRead();
    await certManager.renewAuthority();
    // Each Certificate is renewed by itself: meanwhile some are from either.
    for (const name of certManager.secretNames) {
      await certManager.issue([name]);
      await areRead();
    }
    expect(Date.now(), 'this machine is too slow').toBeLessThan(endOfThoseBefore);
    await delay(endOfThoseBefore - Date.now());
  });
  expect(connected.filter((one) => one.includes(' -> 6379')).length).toBeGreaterThanOrEqual(5);
  expect(await lastingConnections(topology)).toEqual(expect.arrayContaining(connected));
  // Who starts anew connects to all others, and shows them its own.
  for (const app of ['hsm-worker', 'domain-manager', 'frontend'])
    await noneFails(`${app} starts anew`, () => topology.rollingRestart(app));
}, 1_200_000);

const noneFails = (what: string, meanwhile: () => Promise<unknown>) => assertNoneFails(what, topology, meanwhile);

async function areRead(): Promise<void> {
  topology.refreshVolumes();
  await expect.poll(() => presentingOthers(topology), { timeout: READ_MS }).toEqual([]);
}
