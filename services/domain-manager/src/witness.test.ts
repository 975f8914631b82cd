import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { signHeld } from '@keyfleet/shared/domain/token-check';
import { createLog } from '@keyfleet/shared/log';
import { describe, expect, test } from 'vitest';
import {
  type Change,
  memberOf,
  rotation,
  sealedForNobody,
  sealedNotFor,
  TestDomain,
  withOtherKeys,
} from '../../../test/support/domain.ts';
import { newRotation, workerOf } from '../../../test/support/witnesses.ts';
import { DomainManagerEvents } from './events.ts';
import { MemoryStore } from './store/memory-store.ts';
import { TokenLog } from './token-log.ts';
import { assertOthersConfirm } from './witness.ts';
import { type Worker, WorkerRefusedError } from './workers.ts';

const events = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));
const { domain, maker, second, third, good, endsTheDomain } = await newRotation();

/** A member that does not take the newest token: a hostile maker sealed it wrongly for it, or its disk is full. */
function lateOne(hsm: Hsm, of = domain): Worker {
  const install = async () => Promise.reject(new Error('ENOSPC'));
  return workerOf(of.newHsm(hsm.memberId, hsm.sealedIdentity()), { install });
}

/** What happens to a token that someone brings to a domain-manager with these workers. */
async function storing(
  token: Buffer,
  workers: readonly Worker[],
  of = domain,
  removed: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
  alone: ReadonlySet<string> = new Set(),
): Promise<string> {
  const store = new MemoryStore(of.clock);
  await store.appendToken(1, of.tokens[0]!);
  const { anchor, clock } = of;
  const tokens = new TokenLog({
    store,
    anchor,
    confirmStored: async (all) => ({ upTo: all.length, isConfirmed: true }),
    clock,
    monotonicClock: clock,
  });
  await tokens.refresh();
  try {
    const decided = () => ({ proposals: new Set<string>(), removed, alone });
    const proposals = { list: async () => [], decided };
    const deps = { tokens, proposals, workers, events, clock: of.clock };
    return String(await tokens.append(token, (next) => assertOthersConfirm(next, deps)));
  } catch (error) {
    return (error as Error).name;
  }
}

test('a token is stored when one other member opens it, or when no other is in reach', async () => {
  expect(await storing(good, [workerOf(maker), workerOf(second)])).toBe('true');
  expect(await storing(good, [workerOf(maker)])).toBe('true');
  expect(await storing(endsTheDomain, [workerOf(maker), workerOf(second), workerOf(third)])).toBe('TokenLogError');
});

test('what a scheduler alone signed is not stored while nobody can check it, and a worker does not answer', async () => {
  const world = new TestDomain({ members: 3 });
  const [first, ...others] = world.hsms.map((hsm) => workerOf(hsm)) as [Worker, Worker, Worker];
  world.clock.advance(7_200_000);
  const byMachine = world.prepare(rotation, [world.scheduler]);
  const gone = workerOf(world.hsms[1]!, { describe: async () => Promise.reject(new Error('unreachable')) });
  expect(await storing(byMachine, [first, gone], world)).toBe('UnconfirmedError');
  expect(await storing(byMachine, [gone], world)).toBe('UnconfirmedError');
  expect(await storing(byMachine, [first, gone, others[1]], world)).toBe('true');
  // One address, as of a worker alone or of several behind it.
  expect(await storing(byMachine, [first], world)).toBe('true');
  expect(await storing(good, [workerOf(maker), gone])).toBe('true');
  const alone = new TestDomain({ members: 1 });
  alone.clock.advance(7_200_000);
  const own = alone.prepare(rotation, [alone.scheduler]);
  expect(await storing(own, [workerOf(alone.hsms[0]!), gone], alone)).toBe('true');
});

test('a hostile maker that says it is another member is no witness of its own token', async () => {
  const says = (check: Worker['check']) => workerOf(maker, { describe: async () => second.describe(), check });
  const nothing = says(async () => Buffer.alloc(0));
  const ofAnother = says(async () => second.check(good));
  const own = says(async () => maker.check(good));
  for (const liar of [nothing, ofAnother, own]) {
    expect(await storing(endsTheDomain, [liar, workerOf(second), workerOf(third)])).toBe('TokenLogError');
    expect(await storing(endsTheDomain, [liar])).toBe('TokenLogError');
  }
});

test('a member that is there and does not answer, as to a token larger than it reads, is waited for', async () => {
  const check = async () => Promise.reject(new Error('8 RESOURCE_EXHAUSTED'));
  const silent = [second, third].map((hsm) => workerOf(hsm, { check }));
  expect(await storing(endsTheDomain, [workerOf(maker), ...silent])).toBe('UnconfirmedError');
  expect(await storing(good, [...silent, workerOf(second)])).toBe('true');
});

test('a member of the domain compares the keys, whomever the token admits', async () => {
  const admitted = domain.newHsm('hsm-4');
  admitted.install(domain.tokens);
  const admission = { name: 'ModifyMembers', body: { admit: [memberOf(admitted)], remove: [] } } satisfies Change;
  const honest = domain.prepare(admission, domain.people, third);
  const hostile = withOtherKeys(honest, domain.identities.get('hsm-3')!);
  const newcomer = workerOf(admitted);
  expect(await storing(hostile, [newcomer, workerOf(maker), workerOf(second)])).toBe('TokenLogError');
  expect(await storing(honest, [newcomer, workerOf(maker), workerOf(second)])).toBe('true');
  // A hostile worker that says it is a member passes on what the newcomer signed.
  const relay = workerOf(third, {
    describe: async () => second.describe(),
    check: async (token) => newcomer.check(token),
  });
  expect(await storing(hostile, [newcomer, relay])).toBe('TokenLogError');
  expect(await storing(hostile, [newcomer, lateOne(second)])).toBe('UnconfirmedError');
  // With no member from before in reach, the newcomer can at least tell whether it opens.
  const forNobody = await sealedForNobody(honest, (body) => domain.identities.get('hsm-3')!.sign(body));
  expect(await storing(forNobody, [newcomer, workerOf(third)])).toBe('TokenLogError');
  expect(await storing(honest, [newcomer, workerOf(third)])).toBe('true');
  const silent = workerOf(second, { describe: async () => Promise.reject(new Error('away')) });
  expect(await storing(hostile, [newcomer, workerOf(third), silent])).toBe('UnconfirmedError');
});

test.each([2, 3])(
  'of %i members, the one that stays makes no token that admits others while those who leave are in reach',
  async (members) => {
    const renewed = new TestDomain({ members });
    const [stays, ...leave] = renewed.hsms as [Hsm, ...Hsm[]];
    const admitted = [4, 5].map((number) => renewed.newHsm(`hsm-${number}`));
    for (const hsm of admitted) hsm.install(renewed.tokens);
    const body = { admit: admitted.map(memberOf), remove: leave.map(({ memberId }) => memberId) };
    const token = renewed.prepare({ name: 'ModifyMembers', body }, renewed.people, stays);
    const hostile = withOtherKeys(token, renewed.identities.get('hsm-1')!);
    const fleet = [stays, ...admitted].map((hsm) => workerOf(hsm));
    for (const workers of [fleet, fleet.slice(0, 1)]) {
      const all = [...workers, ...leave.map((hsm) => workerOf(hsm))];
      expect(await storing(hostile, all, renewed)).toBe('TokenLogError');
      expect(await storing(token, all, renewed)).toBe('TokenLogError');
      // As when they are lost.
      expect(await storing(token, workers, renewed)).toBe('true');
    }
    // In two changes those who leave compare.
    const admit = { name: 'ModifyMembers', body: { ...body, remove: [] } } satisfies Change;
    const again = new TestDomain({ members });
    const others = [4, 5].map((number) => again.newHsm(`hsm-${number}`));
    const first = again.prepare({ ...admit, body: { ...admit.body, admit: others.map(memberOf) } });
    const all = [...again.hsms, ...others].map((hsm) => workerOf(hsm));
    expect(await storing(withOtherKeys(first, again.identities.get('hsm-1')!), all, again)).toBe('TokenLogError');
    expect(await storing(first, all, again)).toBe('true');
  },
);

test('a token that one member cannot open is not stored, whoever confirms, also if that member is in a safe', async () => {
  const withSafe = new TestDomain({ members: 4 });
  const workers = withSafe.hsms.slice(0, 3).map((hsm) => workerOf(hsm));
  const honest = withSafe.prepare(rotation);
  const owned = withSafe.identities.get('hsm-1')!;
  for (const victim of ['hsm-3', 'hsm-4']) {
    const hostile = sealedNotFor([victim], honest, owned);
    expect(await storing(hostile, workers, withSafe)).toBe('TokenLogError');
    expect(await storing(hostile, workers.slice(0, 2), withSafe)).toBe('TokenLogError');
  }
  expect(await storing(honest, workers, withSafe)).toBe('true');
});

test('a member that has just restarted gets the newest keys first, and compares', async () => {
  for (const [token, outcome] of [
    [endsTheDomain, 'TokenLogError'],
    [good, 'true'],
  ] as const) {
    const restarted = domain.newHsm('hsm-2', second.sealedIdentity());
    expect(restarted.describe().generation).toBe(0);
    expect(await storing(token, [workerOf(maker), workerOf(restarted)])).toBe(outcome);
  }
});

test('members that hold what the store lost refuse another token in its place, also one of whom they removed', async () => {
  const rolledBack = new TestDomain({ members: 3 });
  const [first, former, last] = rolledBack.hsms as [Hsm, Hsm, Hsm];
  const fork = rolledBack.prepare(rotation, rolledBack.people, former);
  const workers = [former, first, last].map((hsm) => workerOf(hsm));
  expect(await storing(fork, workers, rolledBack)).toBe('true');
  rolledBack.hsms.splice(1, 1);
  for (const change of [
    { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } },
    rotation,
  ] satisfies Change[]) {
    rolledBack.step(change);
    expect(former.describe().generation).toBe(1);
    expect(await storing(fork, workers, rolledBack)).toBe('TokenLogError');
  }
});

describe('one member that holds what the store lost', () => {
  const withLost = () => {
    const of = new TestDomain({ members: 4 });
    const [first, second, missedIt, last] = of.hsms as [Hsm, Hsm, Hsm, Hsm];
    const fork = of.prepare(rotation, of.people, second);
    const lost = of.prepare(rotation, of.people, first);
    last.install([lost]);
    return { of, fork, lost, last, first, missedIt, others: [second, first, missedIt].map((hsm) => workerOf(hsm)) };
  };

  test('suffices, however many missed it, also when it has been started again', async () => {
    const { of, fork, lost, last, others } = withLost();
    expect(await storing(fork, [...others, workerOf(last)], of)).toBe('TokenLogError');
    expect(await storing(lost, [...others, workerOf(last)], of)).toBe('true');
    const restarted = of.newHsm('hsm-4', last.sealedIdentity());
    expect(await storing(fork, [...others, workerOf(restarted)], of)).toBe('TokenLogError');
    expect(await storing(lost, [...others, workerOf(restarted)], of)).toBe('true');
  });

  test('suffices where it has made the other token itself, before', async () => {
    const of = new TestDomain({ members: 4 });
    const [first, second, , last] = of.hsms as [Hsm, Hsm, Hsm, Hsm];
    const hidden = of.prepare(rotation, of.people, second);
    expect(await storing(hidden, [workerOf(second), workerOf(last)], of)).toBe('true');
    second.install([of.prepare(rotation, of.people, first)]);
    expect(await storing(hidden, [workerOf(second), workerOf(last)], of)).toBe('TokenLogError');
    const restarted = of.newHsm('hsm-2', second.sealedIdentity());
    expect(await storing(hidden, [workerOf(last), workerOf(restarted)], of)).toBe('TokenLogError');
    const silent = workerOf(second, { check: async () => Promise.reject(new Error('no')) });
    expect(await storing(hidden, [silent, workerOf(last)], of)).toBe('true');
    // It may lie, and others hold that token.
    const leaving = new Map([['hsm-2', new Set(['hsm-1'])]]);
    expect(await storing(hidden, [workerOf(second), workerOf(last)], of, leaving)).toBe('true');
  });

  test('is asked, although a liar in another’s name was asked first and passed on what one that missed it signed', async () => {
    const { of, fork, last, first, missedIt, others } = withLost();
    const described = async () => ({ ...first.describe(), generation: 9 });
    const relay = workerOf(first, { describe: described, check: async (token) => missedIt.check(token) });
    expect(await storing(fork, [relay, ...others, workerOf(last)], of)).toBe('TokenLogError');
  });

  test('does not if the token removes it: it may lie', async () => {
    const { of, missedIt, last, others } = withLost();
    const removal = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-4'] } } satisfies Change;
    const token = of.prepare(removal, of.people, missedIt);
    expect(await storing(token, [...others, workerOf(last)], of)).toBe('true');
  });

  test('does not once a quorum has signed its removal, though the token is of another change', async () => {
    const { of, fork, last, others } = withLost();
    const workers = [...others, workerOf(last)];
    expect(await storing(fork, workers, of)).toBe('TokenLogError');
    expect(await storing(fork, workers, of, new Map([['hsm-4', new Set(['hsm-2'])]]))).toBe('true');
  });

  test('still has a token that nobody else confirms wait, if it is to leave: it may be honest, and the maker not', async () => {
    const of = new TestDomain({ members: 3 });
    const [leaver, away, hostile] = of.hsms as [Hsm, Hsm, Hsm];
    const rotated = of.prepare(rotation, of.people, hostile);
    const forNobody = await sealedForNobody(rotated, (body) => of.identities.get('hsm-3')!.sign(body));
    const leaving = new Map([['hsm-1', new Set(['hsm-3'])]]);
    expect(await storing(forNobody, [workerOf(leaver), workerOf(hostile)], of, leaving)).toBe('UnconfirmedError');
    expect(await storing(forNobody, [workerOf(leaver), workerOf(away)], of, leaving)).toBe('TokenLogError');
    expect(await storing(rotated, [workerOf(leaver), workerOf(hostile)], of, leaving)).toBe('true');
    // Also where all others are to leave, or the operators have named another to prepare that.
    const all = new Map(['hsm-1', 'hsm-2'].map((memberId) => [memberId, new Set(['hsm-3'])]));
    expect(await storing(forNobody, [workerOf(leaver), workerOf(away)], of, all)).toBe('UnconfirmedError');
    const byAnother = new Map([['hsm-1', new Set(['hsm-2'])]]);
    expect(await storing(forNobody, [workerOf(leaver), workerOf(hostile)], of, byAnother)).toBe('TokenLogError');
  });

  test.each([2, 3])('holds nothing up where one change leaves the maker alone, of %i members', async (members) => {
    const of = new TestDomain({ members });
    const check = async () => Promise.reject(new WorkerRefusedError('no'));
    const deny = of.hsms.slice(1).map((hsm) => workerOf(hsm, { check }));
    const token = of.prepare(rotation);
    const leaving = new Map(of.hsms.slice(1).map(({ memberId }) => [memberId, new Set(['hsm-1'])]));
    expect(await storing(token, deny, of, leaving)).toBe('UnconfirmedError');
    expect(await storing(token, deny, of, leaving, new Set(['hsm-2']))).toBe('UnconfirmedError');
    expect(await storing(token, deny, of, leaving, new Set(['hsm-1']))).toBe('true');
  });

  test('was a member before: who is only being admitted holds nothing', async () => {
    const of = new TestDomain({ members: 1 });
    const fresh = [of.newHsm('hsm-2'), of.newHsm('hsm-3')] as const;
    const body = { admit: fresh.map(memberOf), remove: [] };
    const token = of.prepare({ name: 'ModifyMembers', body });
    for (const hsm of fresh) hsm.install(of.tokens);
    const lie = async () =>
      signHeld({ domain: 'test', memberId: 'hsm-3', generation: 2, tokenHash: Buffer.alloc(32, 1) }, (message) =>
        of.identities.get('hsm-3')!.sign(message),
      );
    const liar = workerOf(fresh[1], { check: lie, describe: async () => ({ ...fresh[1].describe(), generation: 2 }) });
    expect(await storing(token, [workerOf(fresh[0]), liar], of)).toBe('true');
    expect(await storing(token, [liar, workerOf(fresh[0])], of)).toBe('true');
  });

  test('proves it: who only says so, in its own name or another’s, holds nothing up', async () => {
    const { of, lost, first, last, others } = withLost();
    const honest = of.prepare(rotation, of.people, first);
    expect(honest).toEqual(lost);
    const proof = last.check(of.prepare(rotation, of.people, of.hsms[1]));
    const anotherDomain = new TestDomain({ members: 4, name: 'other' });
    anotherDomain.hsms[3]!.install([anotherDomain.rotate()]);
    const foreign = anotherDomain.hsms[3]!.check(anotherDomain.tokens[0]!);
    const checks = [async () => Promise.reject(new Error('no')), async () => proof, async () => foreign];
    for (const name of ['hsm-2', 'hsm-4']) {
      const described = of.hsms.find(({ memberId }) => memberId === name)!.describe();
      for (const check of checks) {
        const liar = workerOf(last, { describe: async () => ({ ...described, generation: 9 }), check });
        expect(await storing(honest, [...others, liar], of)).toBe('true');
      }
    }
  });
});

test('a member that has not even the token before is waited for where nobody else can tell, but holds up none of two', async () => {
  expect(await storing(endsTheDomain, [workerOf(maker), lateOne(third)])).toBe('UnconfirmedError');
  expect(await storing(endsTheDomain, [workerOf(maker), workerOf(second), lateOne(third)])).toBe('TokenLogError');
  expect(await storing(good, [workerOf(maker), workerOf(second), lateOne(third)])).toBe('true');

  const two = new TestDomain({ members: 2 });
  const token = two.prepare(rotation);
  const [first, other] = two.hsms as [Hsm, Hsm];
  expect(await storing(token, [workerOf(first), lateOne(other, two)], two)).toBe('true');
});
