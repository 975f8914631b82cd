import { setTimeout as delay } from 'node:timers/promises';
import { rotation } from '@keyfleet/test-support/domain';
import { newWorld, removal } from '@keyfleet/test-support/hostile-manager';
import { until } from '@keyfleet/test-support/loopback-worker';
import { proofOf } from '@keyfleet/test-support/shown-tokens';
import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => void vi.useRealTimers());

test('a removal that one domain-manager shows to frontends alone is brought to the others, and so stops nobody for long', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  await using world = await newWorld();
  const { domain, view } = world;
  const [one, two, hostile] = world.managers;
  const removing = domain.prepare(removal);
  await world.shows(removing);
  expect(await world.proves(domain.hsms[0]!)).toBe(false);
  await delay(300);
  expect(one!.brought).toEqual([]);
  vi.advanceTimersByTime(10_001);
  await until(() => one!.brought.length > 0 && two!.brought.length > 0);
  await delay(500);
  expect([one, two, hostile].map((manager) => manager!.brought)).toEqual([[removing], [removing], []]);

  domain.tokens.push(removing);
  for (const hsm of domain.hsms.slice(0, 2)) hsm.install([removing]);
  await world.heard();
  for (const hsm of domain.hsms.slice(0, 2)) expect(await world.proves(hsm)).toBe(true);
  expect(view.state!.members).toHaveLength(2);
  expect(world.problems).toEqual([]);
});

test('a rotation that two members have proven is brought to a domain-manager that lacks it, until it shows it', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  await using world = await newWorld();
  const { domain, view } = world;
  const [one, two] = world.managers;
  const rotated = domain.step(rotation, [domain.scheduler]);
  await world.shows();
  for (const hsm of domain.hsms.slice(0, 2)) expect(await world.proves(hsm)).toBe(true);
  expect(view.provenGeneration).toBe(2);
  two!.tokens = domain.tokens.slice();
  await view.hear();
  vi.advanceTimersByTime(10_001);
  await until(() => one!.brought.length > 0);
  await world.heard();
  vi.advanceTimersByTime(60_001);
  await delay(500);
  expect([one!.brought, two!.brought]).toEqual([[rotated], []]);
  expect(world.problems).toEqual([]);
});

test('a token that no other member confirmed is none, whoever shows it and proves it, and is brought to nobody', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  await using world = await newWorld();
  const { domain, view } = world;
  const [one, two] = world.managers;
  const made = domain.make(removal);
  await world.shows(made);
  expect(await world.proves(domain.hsms[0]!, proofOf({ generation: 2, token: made }))).toBe(false);
  for (const hsm of domain.hsms.slice(1)) expect(await world.proves(hsm)).toBe(true);
  expect(view.state!.generation).toBe(1);
  expect(world.problems[0]).toBe('hostile: no other member confirms token 2, which hsm-1 made');

  // Nor is it one because another shows it with its witness.
  const witnessed = domain.witnessed(made);
  await world.shows(witnessed);
  one!.tokens = [...domain.tokens, made];
  await view.hear();
  vi.advanceTimersByTime(10_001);
  await until(() => one!.brought.length > 0 && two!.brought.length > 0);
  expect([one!.brought, two!.brought]).toEqual([[witnessed], [witnessed]]);
});
