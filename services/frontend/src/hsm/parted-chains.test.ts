import { type Change, memberOf, newOperator, rotation, TestDomain } from '@keyfleet/test-support/domain';
import { until } from '@keyfleet/test-support/loopback-worker';
import { newFloor, proofOf, showing, viewOf } from '@keyfleet/test-support/shown-tokens';
import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { describe, expect, test } from 'vitest';
import type { DomainView } from './domain-view.ts';

const HOUR = 3_600_000;
const admit = (hsm: Hsm): Change => ({ name: 'ModifyMembers', body: { admit: [memberOf(hsm)], remove: [] } });
const remove = (id: string): Change => ({ name: 'ModifyMembers', body: { admit: [], remove: [id] } });
const used = (view: DomainView) => view.state?.members.map(({ memberId }) => memberId);

/** The next tokens are installed by these. */
const inReach = (domain: TestDomain, ...hsms: readonly Hsm[]) =>
  void domain.hsms.splice(0, domain.hsms.length, ...hsms);

const newOperators: Change = { name: 'ModifyOperators', body: { admit: [newOperator('carla')], remove: [] } };

describe('who was admitted in one chain, after a token that one domain-manager had made before and shows alone,', () => {
  /** Of hsm-1 and hsm-2, people replace hsm-2 by hsm-3. */
  async function replaced() {
    const domain = new TestDomain({ members: 2 });
    const [first, second] = domain.hsms as [Hsm, Hsm];
    domain.clock.advance(2 * HOUR);
    const older = [...domain.tokens, domain.prepare(rotation)];
    domain.step(newOperators, domain.people, second);
    const hidden = [...domain.tokens, domain.prepare(rotation)];
    const third = domain.newHsm('hsm-3');
    third.install(domain.tokens);
    inReach(domain, first, second, third);
    domain.step(admit(third), domain.people, second);
    inReach(domain, first, third);
    domain.step(remove('hsm-2'), domain.people, third);
    return { domain, hidden, older, first, third };
  }
  const shown = (domain: TestDomain, hidden: readonly Buffer[], stored = domain.tokens) =>
    viewOf(domain, [showing('dm-1', domain.tokens), showing('dm-2', hidden)], {
      stored: showing('Redis', stored),
      floor: newFloor(),
      workers: 2,
    });

  test.each(['all', 'the first alone', 'another hidden one'])(
    'is used, so that two prove what the others show, and no member is alone; Redis shows %s',
    async (what) => {
      const { domain, hidden, older, first, third } = await replaced();
      const stored = what === 'all' ? domain.tokens : what === 'another hidden one' ? older : domain.tokens.slice(0, 1);
      await using frontend = shown(domain, hidden, stored);
      await until(() => frontend.view.problem !== 'no verified domain token yet');
      expect(used(frontend.view)).toEqual(['hsm-1', 'hsm-3']);
      expect(frontend.view.isOfOne).toBe(false);
      for (const hsm of [first, third]) await frontend.proves(hsm);
      expect(frontend.view.provenGeneration).toBe(domain.generation);
    },
  );

  test('is used though nobody is left of before', async () => {
    const { domain, hidden, older, third } = await replaced();
    const fourth = domain.newHsm('hsm-4');
    fourth.install(domain.tokens);
    inReach(domain, third, fourth);
    domain.step(admit(fourth), domain.people, third);
    domain.step(remove('hsm-1'), domain.people, third);
    await using frontend = shown(domain, hidden, older);
    await until(() => frontend.view.problem !== 'no verified domain token yet');
    expect(frontend.view.problem).toBeUndefined();
    expect(used(frontend.view)).toEqual(['hsm-3', 'hsm-4']);
  });

  test('is not used if people removed it in the other, and the one that is left is not all there is', async () => {
    const domain = new TestDomain({ members: 2 });
    const [first, second] = domain.hsms as [Hsm, Hsm];
    const third = domain.newHsm('hsm-3');
    third.install(domain.tokens);
    const founded = domain.tokens.slice();
    inReach(domain, second);
    domain.step(admit(third), domain.people, second);
    domain.step(remove('hsm-3'), domain.people, second);
    const other = domain.tokens.splice(0, 3, ...founded);
    inReach(domain, first);
    domain.step(admit(third), domain.people, first);
    domain.step(newOperators, domain.people, first);
    domain.step(remove('hsm-2'), domain.people, first);
    await using frontend = shown(domain, other);
    await until(() => frontend.view.problem !== 'no verified domain token yet');
    expect(used(frontend.view)).toEqual(['hsm-1']);
    expect(frontend.view.isOfOne).toBe(false);
  });
});

describe('two chains that people signed, those of before and those of now, of which a frontend that starts knows neither,', () => {
  /** Genuine: other operators, and a rotation. From before that: hsm-1, hostile, does what those of before sign. */
  async function parted(...signed: readonly (Change | ((domain: TestDomain) => Change))[]) {
    const domain = new TestDomain({ members: 3 });
    const [hostile, ...honest] = domain.hsms as [Hsm, Hsm, Hsm];
    const founded = domain.tokens.slice();
    inReach(domain, ...honest);
    domain.step(newOperators, domain.people, honest[0]);
    const genuine = domain.tokens.splice(0, 2, ...founded);
    inReach(domain, hostile);
    for (const change of signed) {
      domain.step(typeof change === 'function' ? change(domain) : change, domain.people, domain.hsms[0]!);
    }
    const floor = newFloor();
    const sources = [showing('dm-1', genuine), showing('dm-2', domain.tokens)];
    const frontend = viewOf(domain, sources, { stored: showing('Redis', genuine), workers: 3, floor });
    await until(() => frontend.view.problem !== 'no verified domain token yet');
    return { ...frontend, domain, floor, hostile };
  }

  test('have it use none of the members that one of them brings', async () => {
    await using world = await parted(
      (domain) => {
        const own = ['own-1', 'own-2'].map((name) => domain.newHsm(name));
        for (const one of own) one.install(domain.tokens);
        const body = { admit: own.map(memberOf), remove: ['hsm-2', 'hsm-3'] };
        domain.hsms.push(...own);
        return { name: 'ModifyMembers', body, unwitnessed: true };
      },
      (domain) => {
        domain.hsms.shift();
        return remove('hsm-1');
      },
    );
    expect(world.view.problem).toContain('two domain tokens are shown');
    for (const own of world.domain.hsms) expect(await world.proves(own)).toBe(false);
    expect(world.floor.lowest).toBeUndefined();
  });

  test('have it take the word of the one member that both leave for nothing', async () => {
    await using world = await parted({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2', 'hsm-3'] } });
    await world.proves(world.hostile);
    expect(used(world.view)).toEqual(['hsm-1']);
    expect(world.view.isOfOne).toBe(false);
    expect(world.floor.lowest).toBeUndefined();
  });
});

describe('who was alone, and proves nothing newer when others are admitted,', () => {
  async function grown() {
    const domain = new TestDomain({ members: 1 });
    const [first] = domain.hsms as [Hsm];
    const founded = domain.tokens.slice();
    const manager = showing('dm', founded);
    const frontend = viewOf(domain, [manager], { workers: 3 });
    await until(() => frontend.view.state?.generation === 1);
    const before = proofOf(first);
    const others = ['hsm-2', 'hsm-3'].map((name) => domain.newHsm(name));
    return {
      ...frontend,
      manager,
      others,
      alone: () => frontend.proves(first, before),
      async admitted() {
        for (const other of others) {
          other.install(domain.tokens);
          domain.hsms.push(other);
          domain.step(admit(other));
        }
        manager.tokens = domain.tokens.slice();
        await frontend.view.hear();
      },
    };
  }

  test('is not alone any more', async () => {
    await using world = await grown();
    expect(await world.alone()).toBe(true);
    expect(world.view.isOfOne).toBe(true);
    await world.admitted();
    expect(await world.alone()).toBe(true);
    expect(world.view.isOfOne).toBe(false);
  });

  test('does not keep a frontend from those, who prove that they are members', async () => {
    await using world = await grown();
    await world.alone();
    await world.admitted();
    await world.alone();
    for (const other of world.others) expect(await world.proves(other)).toBe(true);
    expect(used(world.view)).toEqual(['hsm-1', 'hsm-2', 'hsm-3']);
    expect(world.view.provenGeneration).toBe(3);
    expect(await world.alone()).toBe(false);
  });

  test('nor one that starts, while somebody cuts the list in Redis', async () => {
    const domain = new TestDomain({ members: 1 });
    const [first] = domain.hsms as [Hsm];
    const [founded, before] = [domain.tokens.slice(), proofOf(first)];
    const second = domain.newHsm('hsm-2');
    second.install(domain.tokens);
    domain.hsms.push(second);
    domain.step(admit(second));
    const stored = showing('Redis', founded);
    await using world = viewOf(domain, [showing('dm', domain.tokens)], { stored, workers: 2 });
    await until(() => world.view.state !== undefined);
    expect(await world.proves(first, before)).toBe(true);
    expect(await world.proves(second)).toBe(true);
    expect(used(world.view)).toEqual(['hsm-1', 'hsm-2']);
  });

  test.each([
    { count: 1, own: 4, since: 0 },
    { count: 2, own: 4, since: 0 },
    { count: 1, own: 12, since: 0 },
    { count: 2, own: 12, since: 12 },
    { count: 2, own: 20, since: 12 },
  ])(
    'nor makes $own tokens alone, with one domain-manager, where others have $count and $since',
    async ({ count, own, since }) => {
      const domain = new TestDomain({ members: 1 });
      const [first] = domain.hsms as [Hsm];
      const founded = domain.tokens.slice();
      const playing = domain.newHsm('hsm-1', first.sealedIdentity());
      playing.install(founded);
      inReach(domain, playing);
      const rotate = () => {
        domain.clock.advance(2 * HOUR);
        domain.step(rotation, [domain.scheduler]);
      };
      for (let i = 0; i < own; i++) rotate();
      const hidden = domain.tokens.splice(0, own + 1, ...founded);
      const others = ['hsm-2', 'hsm-3'].slice(0, count).map((name) => domain.newHsm(name));
      inReach(domain, first);
      for (const other of others) {
        other.install(domain.tokens);
        domain.hsms.push(other);
        domain.step(admit(other));
      }
      for (let i = 0; i < since; i++) rotate();
      const sources = [showing('dm-1', domain.tokens), showing('dm-2', hidden)];
      await using world = viewOf(domain, sources, {
        stored: showing('Redis', domain.tokens),
        workers: 3,
        floor: newFloor(),
      });
      await until(() => world.view.state !== undefined);
      await world.proves(playing);
      for (const other of others) expect(await world.proves(other)).toBe(true);
      await world.proves(playing);
      expect(used(world.view)).toEqual(['hsm-1', 'hsm-2', 'hsm-3'].slice(0, count + 1));
      expect(world.view.isOfOne).toBe(false);
    },
  );
});
