import { plannedArrows } from '@keyfleet/test-support/manifests';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Founded, startFounded } from './support/topology/found.ts';
import type { Pod } from './support/topology/pod.ts';
import { bodyOf } from './support/topology/probes.ts';
import { type Outcome, outcomesOf, report, SdkLoad } from './support/topology/sdk-load.ts';

// What a customer of the AWS SDK, with its retries as they are by default, sees of losses, and that no key is lost that
// was made; docs/kubernetes.md has the figures. A load throws when a key is lost.

/** So that every frontend has read the key of the load. */
const WARM_MS = 3_000;
const LOST_MS = 20_000;
const CUT_MS = 12_000;
const HEALTHY_MS = 2_000;
const ZONE = 'topology.kubernetes.io/zone';
/** From the end of a failure until everything is answered again. */
const HEALED_MS = 60_000;

let topology: Founded;
beforeAll(async () => void (topology = await startFounded()));
afterAll(() => topology?.[Symbol.asyncDispose]());

const kinds = ['frontend', 'hsm-worker', 'domain-manager', 'nats', 'redis'];

test.each(kinds)(
  'one %s that is killed and away for a while costs seconds, and no key',
  async (kind) => {
    const lost = await importantOne(kind);
    await using load = await SdkLoad.start(topology);
    await delay(WARM_MS);
    lost.kill();
    await delay(LOST_MS);
    lost.release();
    await topology.awaitReady(kind);
    await healed();
    const outcomes = outcomesOf(await load.stop());
    report(`${kind} killed`, outcomes);
    for (const { operation, unavailableMs } of outcomes) expect(unavailableMs, operation).toBeLessThan(LOST_MS);
  },
  300_000,
);

test('a zone that is lost with the master of Redis costs seconds, and no key', async () => {
  const spread = topology.workloads.map(({ template }) => template.topologySpreadConstraints[0]);
  expect(spread).toEqual(spread.map(() => expect.objectContaining({ maxSkew: 1, topologyKey: ZONE }) as unknown));
  const zone = await importantZone();
  const others = topology.pods().filter((pod) => !zone.includes(pod));
  await using load = await SdkLoad.start(topology);
  await delay(WARM_MS);
  {
    // Nobody is told that a connection has ended.
    await using _ = await topology.partition(zone, others);
    for (const pod of zone) pod.kill();
    await healed();
    await delay(LOST_MS);
  }
  for (const pod of zone) pod.release();
  for (const kind of kinds) await topology.awaitReady(kind);
  await healed();
  report('zone lost', outcomesOf(await load.stop()));
}, 400_000);

test('every Redis that is killed at once comes back as its last master had it, not as the first Pod, which missed that', async () => {
  const all = topology.pods('redis');
  await using load = await SdkLoad.start(topology);
  topology.pod('redis-0').kill();
  await delay(LOST_MS);
  for (const pod of all) pod.kill();
  for (const pod of all) pod.release();
  await topology.awaitReady('redis');
  await healed();
  report('every redis killed', outcomesOf(await load.stop()));
}, 300_000);

const arrows = Object.keys(plannedArrows()).map((arrow) => arrow.split(' -> ') as [string, string]);
const between = arrows.filter((ends) => ends.every((end) => kinds.includes(end)));
const pairs = new Set(between.map((ends) => ends.toSorted().join(' and ')));

test.each([...pairs])(
  'a partition between %s heals, and costs no key',
  async (pair) => {
    const [one = '', other = ''] = pair.split(' and ');
    await using load = await SdkLoad.start(topology);
    await delay(WARM_MS);
    {
      await using _ = await topology.partition(topology.pods(one), topology.pods(other));
      await delay(CUT_MS);
    }
    await healed();
    report(`${pair} cut`, outcomesOf(await load.stop()));
  },
  300_000,
);

/** The first of its kind; of Redis the master. */
async function importantOne(kind: string): Promise<Pod> {
  const [first] = topology.pods(kind);
  if (kind !== 'redis') return first!;
  const { stdout } = await first!.exec(['sh', '/etc/redis/master.sh']);
  return topology.pod(stdout.split('.')[0]!);
}

/** One Pod of each kind, as the manifests spread them over three zones; with the master of Redis. */
async function importantZone(): Promise<Pod[]> {
  const master = await importantOne('redis');
  return kinds.map((kind) => (kind === 'redis' ? master : topology.pods(kind)[0]!));
}

/** Every call of a load is answered. */
async function healed(): Promise<void> {
  const until = Date.now() + HEALED_MS;
  for (;;) {
    const errors = await errorsNow();
    if (errors.length === 0) return;
    if (Date.now() > until) expect(errors, await whatFrontendsLack()).toEqual([]);
  }
}

async function whatFrontendsLack(): Promise<string> {
  const asked = topology.pods('frontend').map(async ({ name, address, ready }) => {
    const answer = await bodyOf(`https://${address}:8900/readyz`).catch(String);
    return `${name}, ${ready ? 'ready' : 'not ready'}: ${answer}`;
  });
  return (await Promise.all(asked)).join('\n');
}

async function errorsNow(): Promise<readonly string[]> {
  try {
    await using load = await SdkLoad.start(topology);
    // Long enough for every frontend to be asked.
    await delay(HEALTHY_MS);
    return outcomesOf(await load.stop()).flatMap(({ errors }: Outcome) => errors);
  } catch (error) {
    return [String(error)];
  }
}
