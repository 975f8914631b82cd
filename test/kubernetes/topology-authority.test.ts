import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Founded, startFounded } from './support/topology/found.ts';
import { lastingConnections } from './support/topology/kept.ts';
import { presentingOthers, taking } from './support/topology/presented.ts';
import { assertNoneFails } from './support/topology/sdk-load.ts';

// The authority of the namespace is given another key: "Another authority" of docs/kubernetes.md, under a load of the
// AWS SDK, with its retries as they are by default.

/** Services look every two seconds, Redis and NATS every ten, and a Sentinel starts again. */
const READ = { timeout: 60_000 };

let topology: Founded;
beforeAll(async () => void (topology = await startFounded()));
afterAll(() => topology?.[Symbol.asyncDispose]());

/** Customers elsewhere have nothing to do with this authority. */
const noneFails = (what: string, meanwhile: () => Promise<unknown>) =>
  assertNoneFails(what, topology, meanwhile, 'public-tls');
const operator = () => topology.objects.secrets.get('operator-tls')!;

test('the authority has another key, and nobody trusts the one before; no call fails, no connection ends', async () => {
  const { laptop, objects } = topology;
  cpSync(join(import.meta.dirname, '../../deploy'), join(laptop.directory, 'deploy'), { recursive: true });
  const overlay = join(laptop.directory, 'deploy/k8s/overlays/prod/kustomization.yaml');
  writeFileSync(overlay, `${readFileSync(overlay, 'utf8')}components: [../../authorities]\n`);
  await noneFails('everything trusts a ConfigMap', () => laptop.runDocumented('ca.crt=old-ca.pem'));

  const [operatorBefore, connected] = [operator(), await lastingConnections(topology)];
  const everybody = await taking(topology, operatorBefore);
  expect(everybody.length).toBeGreaterThan(15);
  await noneFails('the authority has another key', async () => {
    await laptop.runDocumented('ca.crt=both-ca.pem');
    await objects.certManager.issue(['operator-tls']);
    await expect.poll(() => taking(topology, operator()), READ).toEqual(everybody);
    await laptop.runDocumented('cmctl renew');
    await expect.poll(() => presentingOthers(topology), READ).toEqual([]);
    await laptop.runDocumented('ca.crt=new-ca.pem');
    await expect.poll(() => taking(topology, operatorBefore), READ).toEqual([]);
  });
  // A Sentinel that starts again takes nothing for a moment.
  await expect.poll(() => taking(topology, operator()), READ).toEqual(everybody);
  expect(await lastingConnections(topology)).toEqual(expect.arrayContaining(connected));
  // Who starts anew connects to all others.
  for (const app of ['hsm-worker', 'domain-manager', 'frontend'])
    await noneFails(`${app} starts anew`, () => topology.rollingRestart(app));
}, 1_200_000);
