import { setTimeout as delay } from 'node:timers/promises';
import { tokenHash } from '@keyfleet/shared/domain/token';
import type { Checkpoint } from '@keyfleet/shared/domain/trust-anchor';
import {
  type Change,
  memberOf,
  rotation,
  sealedForNobody,
  TestDomain,
  testSealKey,
} from '@keyfleet/test-support/domain';
import { newWorld, removal } from '@keyfleet/test-support/hostile-manager';
import { until } from '@keyfleet/test-support/loopback-worker';
import { newFloor, proofOf, showing, viewOf } from '@keyfleet/test-support/shown-tokens';
import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { DomainFloor } from './domain-floor.ts';

afterEach(() => void vi.useRealTimers());

describe('a rotation that one domain-manager shows to frontends alone', () => {
  test('is not relied on: members are used, before the next rotation and after it, and no floor has it', async () => {
    const floor = newFloor();
    await using world = await newWorld({ floor });
    const { domain, view } = world;
    const [maker, other, third] = domain.hsms as [Hsm, Hsm, Hsm];
    await world.shows(domain.prepare(rotation, [domain.scheduler], maker));
    expect(view.unprovenMs).toBeDefined();
    for (const hsm of domain.hsms) expect(await world.proves(hsm)).toBe(true);
    expect(view.state!.generation).toBe(1);
    expect(floor.lowest!.generation).toBe(1);

    const next = domain.step(rotation, [domain.scheduler], other);
    await world.heard();
    expect(await world.proves(third)).toBe(true);
    expect(view.problem).toBeUndefined();
    expect(view.verified!.hash).toEqual(tokenHash(next));
    expect(floor.lowest!.generation).toBe(1);
    expect(await world.proves(other)).toBe(true);
    expect(view.verified!.hash).toEqual(tokenHash(next));
    expect(floor.lowest).toEqual({ generation: 2, hash: tokenHash(next) });
    expect(world.problems).toEqual(['hostile: it showed another domain token 2 than the one that hsm-workers have']);
  });

  test('keeps no frontend from starting, with a floor, whatever the others show beside it', async () => {
    await using world = await newWorld();
    const { domain } = world;
    const lowest = { generation: 1, hash: tokenHash(domain.tokens[0]!) };
    await world.shows(domain.prepare(rotation, [domain.scheduler], domain.hsms[0]!));
    for (const generation of [1, 2]) {
      await using restarted = viewOf(domain, world.managers, { floor: newFloor(lowest) });
      await until(() => restarted.view.state !== undefined);
      expect(await restarted.proves(domain.hsms[1]!)).toBe(true);
      expect(restarted.view.state!.generation).toBe(generation);
      if (generation === 2) break;
      domain.step(rotation, [domain.scheduler], domain.hsms[1]!);
      world.show();
    }
  });

  test('is named after a minute, with who shows it', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    await using world = await newWorld();
    const { domain } = world;
    await world.shows(domain.prepare(rotation, [domain.scheduler], domain.hsms[0]!));
    await delay(300);
    expect(world.problems).toEqual([]);
    vi.advanceTimersByTime(60_001);
    await until(() => world.problems.length > 0);
    await delay(300);
    expect(world.problems).toEqual([
      'hostile: it shows domain token 2, which no hsm-worker in reach has: it is not relied on',
    ]);
  });
});

test('a domain-manager that shows another token later than two have proven theirs keeps no later one from being heard', async () => {
  await using world = await newWorld();
  const { domain, view, managers } = world;
  const [maker, other] = domain.hsms as [Hsm, Hsm];
  const fork = domain.prepare(rotation, [domain.scheduler], maker);
  domain.step(rotation, [domain.scheduler], other);
  await world.shows();
  for (const hsm of domain.hsms.slice(0, 2)) expect(await world.proves(hsm)).toBe(true);
  managers[0]!.tokens = [domain.tokens[0]!, fork];
  await view.hear();
  await until(() => world.problems.length > 0);
  expect(world.problems).toEqual(['one: it showed another domain token 2 than the one that hsm-workers have']);
  const token = domain.step(removal);
  managers[0]!.tokens = domain.tokens.slice();
  await view.hear();
  expect(view.verified!.hash).toEqual(tokenHash(token));
});

test('an honest rotation costs nothing: whoever does not have it yet is used until two have proven it', async () => {
  await using world = await newWorld();
  const { domain, view } = world;
  const late = domain.newHsm('hsm-3', domain.identities.get('hsm-3')!.seal(testSealKey));
  late.install(domain.tokens);
  domain.rotate();
  await world.heard();
  expect(await world.proves(late)).toBe(true);
  expect(view.state!.generation).toBe(1);
  const caughtUp = view.refresh();
  expect(await world.proves(domain.hsms[1]!)).toBe(true);
  await caughtUp;
  expect(view.state!.generation).toBe(2);
  expect(await world.proves(late)).toBe(true);
  expect(view.state!.generation).toBe(2);
  expect(await world.proves(domain.hsms[0]!)).toBe(true);
  expect(view.unprovenMs).toBeUndefined();
  expect(await world.proves(late)).toBe(false);
  expect(view.problem).toBeUndefined();
});

describe('a token that one member made for itself, and proves', () => {
  /** hsm-1 of three, whose attacker also has what another signs, and the domain-manager that shows it. */
  async function lying(floor: DomainFloor) {
    const world = await newWorld({ floor });
    const { domain } = world;
    const made = domain.prepare(rotation, [domain.scheduler], domain.hsms[0]!);
    const forNobody = await sealedForNobody(made, (body) => domain.identities.get('hsm-1')!.sign(body));
    const token = domain.witnessed(forNobody);
    await world.shows(token);
    return { ...world, proof: proofOf({ generation: 2, token }) };
  }

  test('stops nobody but its maker, and is in no floor, so that all is well again once that is removed', async () => {
    const floor = newFloor();
    await using world = await lying(floor);
    const { domain, view, proof } = world;
    const [liar, ...others] = domain.hsms as [Hsm, Hsm, Hsm];
    expect(await world.proves(liar, proof)).toBe(true);
    for (const hsm of others) expect(await world.proves(hsm)).toBe(true);
    expect(floor.lowest!.generation).toBe(1);

    const token = domain.step(
      { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } },
      domain.people,
      others[0],
    );
    await world.heard();
    expect(view.verified!.hash).toEqual(tokenHash(token));
    expect(await world.proves(liar, proof)).toBe(false);
    for (const hsm of others) expect(await world.proves(hsm)).toBe(true);
    expect(floor.lowest).toEqual({ generation: 2, hash: tokenHash(token) });
    expect(view.problem).toBeUndefined();
  });

  test('is named after a minute, with the member', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    await using world = await lying(newFloor());
    await world.proves(world.domain.hsms[0]!, world.proof);
    vi.advanceTimersByTime(60_001);
    await until(() => world.problems.length > 0);
    expect(world.problems).toEqual([
      'hostile: it shows domain token 2, which of the hsm-workers hsm-1 alone has shown: it is not relied on',
    ]);
  });
});

test('a token that operators took out of the store counts for whom two members proved it to, until its floor is gone', async () => {
  const floor = newFloor();
  await using world = await newWorld({ floor });
  const { domain, view, managers } = world;
  const [maker, other, third] = domain.hsms as [Hsm, Hsm, Hsm];
  const hidden = domain.prepare(rotation, [domain.scheduler], maker);
  await world.shows(hidden);
  for (const hsm of [maker, other])
    expect(await world.proves(hsm, proofOf({ generation: 2, token: hidden }))).toBe(true);
  managers[2]!.tokens = domain.tokens.slice();
  await view.hear();
  expect(view.verified!.hash).toEqual(tokenHash(hidden));
  expect(await world.proves(third)).toBe(false);
  const startedWith = async (lowest?: Checkpoint): Promise<string | boolean> => {
    await using restarted = viewOf(domain, managers, { floor: newFloor(lowest) });
    const problem = () => restarted.problems[0] ?? restarted.view.problem!;
    await until(() => restarted.view.state !== undefined || problem().includes('before'));
    return restarted.view.state === undefined ? problem() : restarted.proves(third);
  };
  expect(await startedWith(floor.lowest)).toBe(
    'the domain-managers show domain token 1, but token 2 was known here before',
  );
  expect(await startedWith()).toBe(true);
  domain.step(rotation, [domain.scheduler], other);
  for (const manager of managers) manager.tokens = domain.tokens.slice();
  expect(await startedWith(floor.lowest)).toBe('one: token 2 is not the one that was known before');
  expect(await startedWith()).toBe(true);
});

test('the word of one member counts where there is one to ask', async () => {
  const domain = new TestDomain({ members: 3 });
  const floor = newFloor();
  await using started = viewOf(domain, [showing('one', domain.tokens)], { floor, workers: 1 });
  await until(() => started.view.state !== undefined);
  expect(await started.proves(domain.hsms[0]!)).toBe(true);
  expect(floor.lowest!.generation).toBe(1);
});

test('an offline member that runs proves nothing', async () => {
  const domain = new TestDomain({ members: 2 });
  const kept = domain.newHsm('safe-1');
  kept.install(domain.tokens);
  domain.hsms.push(kept);
  domain.step({ name: 'ModifyMembers', body: { admit: [{ ...memberOf(kept), offline: true }], remove: [] } });
  await using started = viewOf(domain, [showing('one', domain.tokens)]);
  await until(() => started.view.state !== undefined);
  expect(await started.proves(kept)).toBe(false);
  expect(await started.proves(domain.hsms[0]!)).toBe(true);
});

test('one member’s proof of a newer token stops a frontend at once that has not heard two yet', async () => {
  const domain = new TestDomain({ members: 3 });
  const before = domain.tokens.slice();
  domain.step(removal);
  await using started = viewOf(domain, [showing('cut', before)]);
  await until(() => started.view.state !== undefined);
  const removed = domain.hsms[2]!;
  expect(await started.proves(removed, proofOf({ generation: 1, token: before[0]! }))).toBe(true);
  expect(await started.proves(domain.hsms[0]!)).toBe(false);
  expect(started.view.problem).toBe('hsm-1 has domain token 2, but none after 1 can be found');
});

test('a fresh fleet is used while a domain-manager stands still that was heard before the recovery', async () => {
  await using world = await newWorld();
  const { domain, view, managers } = world;
  const fresh = domain.newHsm('hsm-4');
  fresh.install(domain.tokens);
  const body = { admit: [memberOf(fresh)], remove: ['hsm-1', 'hsm-2'] };
  const change: Change = { name: 'ModifyMembers', body, unwitnessed: true };
  const token = domain.prepare(change, domain.people, domain.hsms[2]!);
  fresh.install([token]);
  managers[0]!.tokens = [...domain.tokens, token];
  await view.hear();
  expect(await world.proves(fresh)).toBe(true);
  expect(await world.proves(domain.hsms[0]!)).toBe(false);
});

test('a member whose token cannot be written down is not used until it can', async () => {
  const disk = { isFull: false };
  const floor = {
    lowest: undefined,
    raise: async () => (disk.isFull ? Promise.reject(new Error('ENOSPC')) : undefined),
  };
  await using world = await newWorld({ floor });
  const { domain, view } = world;
  disk.isFull = true;
  domain.step(removal);
  await world.heard();
  expect(view.state!.members).toHaveLength(2);
  expect(await world.proves(domain.hsms[1]!)).toBe(true);
  await expect(world.proves(domain.hsms[0]!)).rejects.toThrow('domain token 2 cannot be taken: ENOSPC');
  disk.isFull = false;
  expect(await world.proves(domain.hsms[0]!)).toBe(true);
});
