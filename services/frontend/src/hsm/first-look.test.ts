import { setTimeout as delay } from 'node:timers/promises';
import { tokenHash } from '@keyfleet/shared/domain/token';
import type { Checkpoint } from '@keyfleet/shared/domain/trust-anchor';
import { memberOf, rotation, TestDomain, testSealKey } from '@keyfleet/test-support/domain';
import { until } from '@keyfleet/test-support/loopback-worker';
import { newFloor, proofOf, type Shown, showing, viewOf } from '@keyfleet/test-support/shown-tokens';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';

const YEAR = 365 * 86_400_000;

/** hsm-3 made the second token, and was removed in the third. */
const domain = new TestDomain({ members: 3 });
/** As far as the second token, of which hsm-3 makes another when it has been removed, and another witnesses it. */
let forked: Buffer[];
/** The same, dated a year ahead. */
let ahead: Buffer[];
beforeAll(() => {
  const formerMember = (): Hsm => {
    const former = domain.newHsm('hsm-3', domain.identities.get('hsm-3')!.seal(testSealKey));
    former.install(domain.tokens.slice(0, 1));
    return former;
  };
  const proposal = domain.propose(rotation, domain.people, domain.hsms[2]!);
  domain.step(rotation, domain.people, domain.hsms[2]!);
  const made = () => domain.witnessed(formerMember().prepare(proposal, domain.tokens[0]!));
  forked = [domain.tokens[0]!, made()];
  const { time } = domain.clock;
  domain.clock.time = Date.now() + YEAR;
  ahead = [domain.tokens[0]!, made()];
  domain.clock.time = time;
  domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
  domain.rotate();
});
afterEach(() => void vi.useRealTimers());

function look(
  sources: readonly Shown[],
  { checkpoint, lowest }: { checkpoint?: Checkpoint; lowest?: Checkpoint } = {},
) {
  return viewOf(domain, sources, { checkpoint, floor: newFloor(lowest) });
}

test('relies on no state in the middle of the chain, in which members stand that were removed', async () => {
  const manager = showing('one', domain.tokens);
  manager.upTo = 2;
  await using started = look([manager]);
  await delay(500);
  expect(started.view.state).toBeUndefined();
  manager.upTo = Infinity;
  await until(() => started.view.state !== undefined);
  expect(started.view.state!.generation).toBe(4);
});

test('one that ends early is not believed while another is still showing its chain', async () => {
  const [early, slow] = [showing('early', domain.tokens.slice(0, 2)), showing('slow', domain.tokens)];
  slow.upTo = 3;
  await using started = look([early, slow]);
  await delay(500);
  expect(started.view.state).toBeUndefined();
  slow.upTo = Infinity;
  await until(() => started.view.state !== undefined);
  expect(started.view.state!.generation).toBe(4);
  // Nobody but the slow one shows the removal, which counts; what follows it may have been shown to nobody else.
  const removal = { generation: 3, token: domain.tokens[2]! };
  expect(await started.proves(domain.hsms[0]!, proofOf(removal))).toBe(true);
  expect(await started.proves(domain.hsms[1]!)).toBe(true);
  expect(started.view.state!.generation).toBe(4);
});

test('one that hangs, or shows a token now and then, keeps nobody from starting', async () => {
  for (const stepMs of [3_500, 2_000]) {
    vi.useFakeTimers({ toFake: ['performance'] });
    const hanging = showing('hanging', domain.tokens);
    hanging.upTo = 0;
    await using started = look([showing('one', domain.tokens), hanging]);
    for (let ms = 0; ms < 36_000 && started.view.state === undefined; ms += stepMs) {
      vi.advanceTimersByTime(stepMs);
      await delay(250);
      if (stepMs < 3_000 && hanging.upTo < 3) hanging.upTo++;
    }
    expect(started.view.state?.generation).toBe(4);
    vi.useRealTimers();
  }
});

test('one that cannot be reached at first is waited for as one that is silent', async () => {
  const [early, failing] = [showing('early', domain.tokens.slice(0, 2)), showing('failing', domain.tokens)];
  const fetch = failing.fetch.bind(failing);
  let isReached = false;
  failing.fetch = (after) => (isReached ? fetch(after) : Promise.reject(new Error('refused')));
  await using started = look([early, failing]);
  await delay(700);
  expect(started.view.state).toBeUndefined();
  isReached = true;
  await until(() => started.view.state !== undefined);
  expect(started.view.state!.generation).toBe(4);
});

test('one that fails half-way has not shown its end', async () => {
  const failing = showing('failing', domain.tokens, { fails: 2 });
  await using started = look([failing]);
  await until(() => started.problems.length > 0);
  await delay(500);
  expect(started.view.state).toBeUndefined();
  expect(started.problems).toEqual(['failing: unreachable']);
});

test.each([
  ['', () => forked],
  [', though one is dated ahead', () => ahead],
])('of two tokens of one generation counts what a floor or a checkpoint says, or else a member%s', async (_, fork) => {
  const [hostile, honest] = [showing('hostile', fork()), showing('honest', domain.tokens)];
  const newest = { generation: 4, hash: tokenHash(domain.tokens[3]!) };
  const next = { generation: 2, hash: tokenHash(domain.tokens[1]!) };
  for (const known of [{ lowest: newest }, { checkpoint: newest }, { lowest: next }, { checkpoint: next }]) {
    await using started = look([hostile, honest], known);
    await until(() => started.view.state?.generation === 4);
  }
  await using started = look([hostile, honest]);
  await until(() => started.view.state !== undefined);
  expect(started.view.state!.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-2']);
  const [, token] = forked as [Buffer, Buffer];
  expect(await started.proves(domain.hsms[2]!, proofOf({ generation: 2, token }))).toBe(false);
  expect(await started.proves(domain.hsms[0]!)).toBe(true);
  expect(started.view.state!.generation).toBe(4);
});

describe('where two chains parted long ago', () => {
  const PROBLEM = 'honest and hostile show two domain tokens 2, and nobody the one before: ';
  /** hsm-2 made another second token. It was removed, and what it made goes on, too: from there on it was alone. */
  function parted() {
    const long = new TestDomain({ members: 3 });
    const founded = long.tokens.slice();
    const rotateOften = () => Array.from({ length: 10 }).forEach(() => long.rotate());
    const [first, hostile, third] = long.hsms as [Hsm, Hsm, Hsm];
    long.hsms.splice(0, 3, hostile);
    rotateOften();
    const fork = long.tokens.splice(0, 11, ...founded);
    long.hsms.splice(0, 1, first, third);
    long.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    rotateOften();
    return { long, hostile, managers: [showing('hostile', fork), showing('honest', long.tokens)] };
  }

  test('the members that both leave in tell which one counts', async () => {
    const { long, hostile, managers } = parted();
    await using started = viewOf(long, managers);
    await until(() => started.view.state !== undefined);
    expect(started.view.state!.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-3']);
    expect(await started.proves(hostile)).toBe(false);
    for (const hsm of long.hsms) expect(await started.proves(hsm)).toBe(true);
    expect(started.view.provenGeneration).toBe(12);
  });

  test('a checkpoint tells, too', async () => {
    const { long, managers } = parted();
    const checkpoint = { generation: 2, hash: tokenHash(long.tokens[1]!) };
    await using started = viewOf(long, managers, { checkpoint });
    await until(() => started.view.state?.generation === 12);
  });

  test('none is relied on while nobody shows the last token that both have', async () => {
    const { long, managers } = parted();
    let isShown = false;
    for (const manager of managers) {
      const fetch = manager.fetch.bind(manager);
      let asked = 0;
      manager.fetch = async (after) => (after > 0 || isShown || asked++ === 0 ? fetch(after) : []);
    }
    await using started = viewOf(long, managers);
    await until(() => started.view.problem!.startsWith(PROBLEM));
    await delay(500);
    expect(started.view.state).toBeUndefined();
    isShown = true;
    await until(() => started.view.state !== undefined);
  });

  test('none is relied on if a source shows another token in its place', async () => {
    const { long, managers } = parted();
    const another = new TestDomain({ members: 3 }).tokens;
    for (const manager of managers) {
      const fetch = manager.fetch.bind(manager);
      let asked = 0;
      manager.fetch = async (after) => (after > 0 || asked++ === 0 ? fetch(after) : another);
    }
    await using started = viewOf(long, managers);
    await until(() => started.view.problem!.startsWith(PROBLEM));
    await delay(500);
    expect(started.view.state).toBeUndefined();
  });
});

test('a token after all others that cannot be taken stops it, whoever shows it', async () => {
  const lowest = { generation: 1, hash: tokenHash(domain.tokens[0]!) };
  for (const known of [{}, { lowest }]) {
    await using started = look([showing('one', ahead), showing('other', domain.tokens.slice(0, 1))], known);
    await until(() => started.view.problem!.startsWith('domain token 2 cannot be taken: '));
    await delay(300);
    expect(started.view.state).toBeUndefined();
  }
});

test('a domain-manager that showed another token is believed once it shows what the others do', async () => {
  const lowest = { generation: 4, hash: tokenHash(domain.tokens[3]!) };
  const manager = showing('one', forked);
  await using started = look([manager], { lowest });
  await until(() => started.view.problem!.includes('token 4 was known here before'));
  manager.tokens = domain.tokens;
  await until(() => started.view.state?.generation === 4);
});

test('one that ends before the fleet was replaced keeps nobody from starting', async () => {
  const replaced = new TestDomain({ members: 2 });
  const [first, second] = replaced.hsms as [Hsm, Hsm];
  const fresh = replaced.newHsm('hsm-3');
  fresh.install(replaced.tokens);
  // The second is lost.
  replaced.hsms.splice(1, 1);
  replaced.step(
    { name: 'ModifyMembers', body: { admit: [memberOf(fresh)], remove: ['hsm-2'] }, unwitnessed: true },
    replaced.people,
    first,
  );
  fresh.install(replaced.tokens.slice(-1));
  replaced.hsms.splice(0, 1, fresh);
  const next = replaced.propose(
    { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } },
    replaced.people,
    fresh,
  );
  const token = fresh.prepare(next, replaced.tokens.at(-1));
  replaced.tokens.push(token);
  fresh.install([token]);
  for (const early of [1, 2]) {
    await using started = viewOf(replaced, [
      showing('early', replaced.tokens.slice(0, early)),
      showing('one', replaced.tokens),
    ]);
    await until(() => started.view.state !== undefined);
    expect(await started.proves(second)).toBe(false);
    expect(await started.proves(first)).toBe(false);
    expect(await started.proves(fresh)).toBe(true);
    expect(started.view.state!.generation).toBe(3);
  }
});

test('a member that was admitted last is used though one domain-manager does not show it, and nobody else is in reach', async () => {
  const grown = new TestDomain({ members: 1 });
  const fresh = grown.newHsm('hsm-2');
  fresh.install(grown.tokens);
  grown.step({ name: 'ModifyMembers', body: { admit: [memberOf(fresh)], remove: [] } });
  fresh.install(grown.tokens.slice(-1));
  await using started = viewOf(grown, [showing('early', grown.tokens.slice(0, 1)), showing('one', grown.tokens)]);
  await until(() => started.view.state !== undefined);
  expect(await started.proves(fresh)).toBe(true);
});

test('Redis alone has nobody start: whoever writes it may have cut off a removal', async () => {
  const hanging = showing('manager', domain.tokens, { fails: 0 });
  const stored = showing('Redis', domain.tokens.slice(0, 2));
  await using started = viewOf(domain, [hanging], { stored });
  await until(() => started.problems.length > 0);
  await delay(500);
  expect(started.view.state).toBeUndefined();
});
