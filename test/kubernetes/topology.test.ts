import { plannedArrows } from '@keyfleet/test-support/manifests';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../tools/readiness.ts';
import { type Founded, startFounded } from './support/topology/found.ts';
import { reachableFrom } from './support/topology/reachable.ts';
import { outcomesOf, SdkLoad } from './support/topology/sdk-load.ts';
import { mebibytes, usageOf } from './support/topology/usage.ts';

// The overlay prod as processes, each Pod in a network namespace of its own, TLS everywhere. The tests build on each
// other.

/** Not every arrow is used at once. */
const ARROWS_MS = 60_000;
const LOAD_MS = 20_000;

let topology: Founded;
let made: readonly string[];
const arrows = Object.entries(plannedArrows()).flatMap(([arrow, ports]) => ports.map((port) => `${arrow}:${port}`));
const betweenPods = arrows.filter((arrow) => !arrow.startsWith('anyone ')).toSorted();

beforeAll(async () => void (topology = await startFounded()));
afterAll(() => topology?.[Symbol.asyncDispose]());

test.each([
  ['in the cluster', 'edge-tls'],
  ['elsewhere, who trusts what everybody does', 'public-tls'],
])('a customer %s is served through the Service of the frontends', async (_where, secret) => {
  await using load = await SdkLoad.start(topology, { secret });
  const outcomes = outcomesOf(await load.stop());
  expect(outcomes.map(({ errors }) => errors)).toEqual(outcomes.map(() => []));
});

test('what customers do is in the log of the Pods, for the agent of the node to ship', async () => {
  const logs = () => topology.pods('frontend').map((pod) => readFileSync(pod.logFile('frontend'), 'utf8'));
  await expect.poll(() => logs().join('')).toMatch(/^\{"eventVersion":.*"eventName":"Encrypt".*\}$/m);
});

test('each Pod reaches what its arrows say, and nothing else', async () => {
  const reached: string[] = [];
  const look = async (from: string, namespace: string): Promise<void> => {
    for (const to of await reachableFrom(topology, namespace)) reached.push(`${from} -> ${to}`);
  };
  // Before they knock, for what they knock at is no connection that they need.
  const areMade = async (): Promise<boolean> => {
    made = await topology.connectionsMade();
    return made.length >= betweenPods.length;
  };
  await until(areMade, ARROWS_MS, () => false);
  await look('anyone', await topology.customer());
  for (const { name } of topology.workloads) await look(name, topology.pods(name)[0]!.namespace);
  expect(reached.toSorted()).toEqual(arrows.toSorted());
});

test('what they connected to are these arrows, and none tried anything else', () => {
  expect(made).toEqual(betweenPods);
});

test('each container stays within the memory that its manifest asks for, at a load', async () => {
  await using load = await SdkLoad.start(topology, { pauseMs: 0, each: 4 });
  const usages = await usageOf(topology, () => delay(LOAD_MS));
  const calls = await load.stop();
  expect(calls.flatMap(({ error }) => error ?? [])).toEqual([]);
  const asked = new Map<string, { readonly cpu: string; readonly memory: string }>(
    topology.workloads.flatMap(({ name, template }) =>
      template.containers.map((one) => [`${name}/${one.name}`, one.resources.requests] as const),
    ),
  );
  process.stdout.write(`${Math.round(calls.length / (LOAD_MS / 1000))} calls a second\n`);
  for (const { container, cores, memoryMiB } of usages) {
    const { cpu, memory } = asked.get(container)!;
    process.stdout.write(`${container}: ${cores.toFixed(3)} cores (${cpu}), ${memoryMiB} MiB (${memory})\n`);
    expect(memoryMiB, container).toBeLessThan(mebibytes(memory));
  }
}, 120_000);
