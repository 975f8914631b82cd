import { tokenHash } from '@keyfleet/shared/domain/token';
import { type Change, memberOf, rotation, TestDomain } from '@keyfleet/test-support/domain';
import { newWorld, removal } from '@keyfleet/test-support/hostile-manager';
import { until } from '@keyfleet/test-support/loopback-worker';
import { newFloor, proofOf, showing, viewOf } from '@keyfleet/test-support/shown-tokens';
import { describe, expect, test } from 'vitest';

const HOUR = 3_600_000;

describe('a removal', () => {
  test('counts as soon as one domain-manager shows it, and for the floor once two members have proven it', async () => {
    const floor = newFloor();
    await using world = await newWorld({ floor });
    const { domain, view } = world;
    const before = proofOf(domain.hsms[0]!);
    const removed = memberOf(domain.hsms[2]!);
    const heard: number[] = [];
    view.onRemoval(() => heard.push(view.state!.generation));
    await world.shows(domain.prepare(removal));
    expect(view.state!.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-2']);
    expect(heard).toEqual([2]);
    // They may not know of it.
    for (const hsm of domain.hsms) expect(await world.proves(hsm, before)).toBe(false);
    expect(floor.lowest!.generation).toBe(1);
    expect(view.provenGeneration).toBe(1);

    const token = domain.step(removal);
    expect(await view.noteProof(removed, proofOf({ generation: 2, token }))).toBe(false);
    expect(floor.lowest!.generation).toBe(1);
    expect(await world.proves(domain.hsms[1]!)).toBe(true);
    expect(floor.lowest!.generation).toBe(1);
    expect(await world.proves(domain.hsms[0]!)).toBe(true);
    expect(floor.lowest).toEqual({ generation: 2, hash: tokenHash(token) });
    expect(heard).toEqual([2]);
  });

  test('that was made, and then another token in its place, ends when two have proven the other', async () => {
    await using world = await newWorld();
    const { domain, view } = world;
    const hidden = domain.prepare(removal);
    await world.shows(hidden);
    expect(view.state!.members).toHaveLength(2);
    domain.step(rotation, [domain.scheduler], domain.hsms[1]!);
    await world.heard();
    expect(view.state!.members).toHaveLength(2);
    expect(await world.proves(domain.hsms[1]!)).toBe(true);
    expect(view.state!.members).toHaveLength(2);
    expect(await world.proves(domain.hsms[0]!)).toBe(true);
    expect(view.state!.members).toHaveLength(3);
    expect(view.state!.generation).toBe(2);
  });

  test.each<[string, Change, string[]]>([
    ['a rotation, of two members', rotation, ['hsm-1', 'hsm-2']],
    ['a removal, of three', { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } }, ['hsm-1', 'hsm-3']],
  ])('that people gave up ends when who is left of those of whom none is out has proven %s', async (_, other, left) => {
    const domain = new TestDomain({ members: left.includes('hsm-3') ? 3 : 2 });
    const honest = showing('one', domain.tokens.slice());
    const hostile = showing('two', domain.tokens.slice());
    await using frontend = viewOf(domain, [honest, hostile]);
    const { view } = frontend;
    await until(() => view.state?.generation === 1);
    for (const hsm of domain.hsms) await frontend.proves(hsm);
    const last = domain.hsms.at(-1)!;
    const givenUp: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } };
    hostile.tokens = [...domain.tokens, domain.prepare(givenUp, domain.people, last)];
    await view.hear();
    expect(view.state!.members.map(({ memberId }) => memberId)).not.toContain('hsm-1');
    domain.clock.advance(HOUR);
    domain.step(other, domain.people, domain.hsms[0]!);
    honest.tokens = domain.tokens.slice();
    await view.hear();
    expect(await frontend.proves(domain.hsms[0]!)).toBe(false);
    expect(view.provenGeneration).toBe(1);
    await frontend.proves(last);
    expect(view.state!.members.map(({ memberId }) => memberId)).toEqual(left);
    expect(view.provenGeneration).toBe(2);
  });

  test('empties what removed members answered, each of two that are of one generation', async () => {
    await using world = await newWorld();
    const { domain, view, managers } = world;
    const heard: string[][] = [];
    view.onRemoval(() => heard.push(view.state!.members.map(({ memberId }) => memberId)));
    await world.shows(domain.prepare(removal));
    expect(heard).toEqual([['hsm-1', 'hsm-2']]);
    const other: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } };
    domain.step(other, domain.people, domain.hsms[1]!);
    managers[1]!.tokens = domain.tokens.slice();
    await view.hear();
    expect(heard).toEqual([['hsm-1', 'hsm-2'], ['hsm-2']]);
    await view.hear();
    expect(heard).toHaveLength(2);
  });

  test('empties that although nothing was relied on in between', async () => {
    const domain = new TestDomain({ members: 3 });
    const manager = showing('one', domain.tokens.slice());
    await using started = viewOf(domain, [manager]);
    const { view } = started;
    await until(() => view.state?.generation === 1);
    const heard: number[] = [];
    view.onRemoval(() => heard.push(view.state!.generation));
    const { time } = domain.clock;
    domain.clock.time = Date.now() + 2 * HOUR;
    manager.tokens = [...domain.tokens, domain.prepare(rotation)];
    domain.clock.time = time;
    await view.hear();
    expect(view.state).toBeUndefined();
    domain.step(removal, domain.people, domain.hsms[1]!);
    manager.tokens = domain.tokens.slice();
    await view.hear();
    expect(heard).toEqual([2]);
  });

  test('of different members in two tokens: nobody is used whom either removes', async () => {
    await using world = await newWorld();
    const { domain, view, managers } = world;
    const other: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } };
    await world.shows(domain.prepare(removal));
    managers[0]!.tokens = [...domain.tokens, domain.prepare(other, domain.people, domain.hsms[1]!)];
    await view.hear();
    expect(view.state!.members.map(({ memberId }) => memberId)).toEqual(['hsm-2']);
  });
});

test('a removal that Redis shows counts, whoever keeps the domain-managers away', async () => {
  const domain = new TestDomain({ members: 3 });
  const stored = showing('Redis', domain.tokens.slice());
  await using started = viewOf(domain, [showing('one', domain.tokens.slice())], { stored });
  await until(() => started.view.state !== undefined);
  for (const hsm of domain.hsms) expect(await started.proves(hsm)).toBe(true);
  domain.step(removal);
  stored.tokens = domain.tokens.slice();
  await started.view.hear();
  expect(started.view.state!.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-2']);
  expect(started.view.state!.domainKeys.at(-1)!.afterRemoval).toBe(true);
});
