import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { newProposal, parseDomainChange, Proposal } from '@keyfleet/shared/domain/proposal';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { signHeld } from '@keyfleet/shared/domain/token-check';
import { createLog } from '@keyfleet/shared/log';
import { describe, expect, test } from 'vitest';
import {
  type Change,
  forgedToken,
  inVersion2,
  memberOf,
  rotation,
  sealedNotFor,
  TestDomain,
  withOtherKeys,
} from '../../../test/support/domain.ts';
import { newRotation, workerOf } from '../../../test/support/witnesses.ts';
import { DomainManagerEvents } from './events.ts';
import { MemoryStore } from './store/memory-store.ts';
import { TokenLog, TokenLogError } from './token-log.ts';
import { lacksWitness, UnconfirmedError, witnessOf, witnessOfBrought } from './witness.ts';
import { type Worker, WorkerRefusedError } from './workers.ts';
import { surveyWorkers } from './worker-survey.ts';

const events = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));
const { domain, maker, second, third, good, endsTheDomain } = await newRotation();
const away = async () => Promise.reject(new Error('unreachable'));

/** A member that does not take the newest token: a hostile maker sealed it wrongly for it, or its disk is full. */
function lateOne(hsm: Hsm): Worker {
  const install = async () => Promise.reject(new Error('ENOSPC'));
  return workerOf(domain.newHsm(hsm.memberId, hsm.sealedIdentity()), { install });
}

/**
 * What happens to a token that someone brings to a domain-manager with these workers: with which witness it is stored,
 * or the name of the error. `removed`: see `Decided`.
 */
async function storing(
  token: Buffer,
  workers: readonly Worker[],
  of = domain,
  removed: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): Promise<string> {
  const store = new MemoryStore(of.clock);
  await store.appendToken(1, of.tokens[0]!);
  const { anchor, clock } = of;
  const tokens = new TokenLog({ store, anchor, clock, monotonicClock: clock });
  await tokens.refresh();
  const proposals = { list: async () => [], decided: () => ({ proposals: new Set<string>(), removed }) };
  try {
    await tokens.append(token, (made) => witnessOfBrought(made, { tokens, proposals, workers, events, clock }));
  } catch (error) {
    return (error as Error).name;
  }
  const [stored] = await store.loadTokens(1, 1);
  return parseToken(stored!).witness === undefined ? 'without' : 'with';
}

test('a token is stored with the signature of another member that opens it, and waits while none is in reach', async () => {
  expect(await storing(good, [workerOf(maker), workerOf(second)])).toBe('with');
  expect(await storing(good, [workerOf(maker), workerOf(second, { describe: away })])).toBe('UnconfirmedError');
  expect(await storing(good, [workerOf(maker)])).toBe('UnconfirmedError');
  expect(await storing(endsTheDomain, [workerOf(maker), workerOf(second), workerOf(third)])).toBe('TokenLogError');
});

test('whoever brings one that nobody can witness hears whom to start, and what to sign if all are lost', async () => {
  const { state: before } = parseToken(domain.tokens[0]!);
  const views = await surveyWorkers([workerOf(maker)], undefined);
  await expect(witnessOf(parseToken(good), { before, removed: new Map(), views, events })).rejects.toThrow(
    /start one of hsm-2, hsm-3\. If all are lost, .*--unwitnessed/,
  );
});

test('one that has a witness, or needs none, is stored as it is', async () => {
  const check = async () => Promise.reject(new WorkerRefusedError('no'));
  const refusing = [second, third].map((hsm) => workerOf(hsm, { check }));
  expect(await storing(domain.witnessed(good), refusing)).toBe('with');
  const alone = new TestDomain({ members: 1 });
  expect(await storing(alone.make(rotation), [workerOf(alone.hsms[0]!)], alone)).toBe('without');
  const removal = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } } satisfies Change;
  const two = new TestDomain({ members: 2 });
  const denying = workerOf(two.hsms[1]!, { check: away });
  expect(await storing(two.make(removal), [denying], two)).toBe('without');
});

test('one from before an upgrade is stored without a witness, but not without a member’s word', async () => {
  const { state: before } = parseToken(domain.tokens[0]!);
  const older = forgedToken(good, domain.identities.get('hsm-1')!, ({ proposal }) => {
    const command = inVersion2(Proposal.decode(proposal).command);
    return { proposal: Proposal.encode({ command, signatures: [] }) };
  });
  const token = parseToken(older);
  const by = async (...workers: readonly Worker[]) =>
    witnessOf(token, { before, removed: new Map(), views: await surveyWorkers(workers, undefined), events });
  const confirms = async () => domain.checkBy('hsm-2', token.made);
  await expect(by(workerOf(maker))).rejects.toThrow(UnconfirmedError);
  await expect(by(workerOf(maker), workerOf(third))).rejects.toThrow(TokenLogError);
  expect(await by(workerOf(maker), workerOf(second, { check: confirms }))).toBeUndefined();
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
  const silent = [second, third].map((hsm) => workerOf(hsm, { check: away }));
  expect(await storing(endsTheDomain, [workerOf(maker), ...silent])).toBe('UnconfirmedError');
  expect(await storing(good, [...silent, workerOf(second)])).toBe('with');
});

test('a member that has not even the token before is waited for where nobody else can tell', async () => {
  expect(await storing(good, [workerOf(maker), lateOne(third)])).toBe('UnconfirmedError');
  expect(await storing(endsTheDomain, [workerOf(maker), workerOf(second), lateOne(third)])).toBe('TokenLogError');
  expect(await storing(good, [workerOf(maker), workerOf(second), lateOne(third)])).toBe('with');
});

test('whom a token admits is no witness of it: it has no keys to compare', async () => {
  const admitted = domain.newHsm('hsm-4');
  admitted.install(domain.tokens);
  const admission = { name: 'ModifyMembers', body: { admit: [memberOf(admitted)], remove: [] } } satisfies Change;
  const honest = domain.make(admission, domain.people, third);
  const hostile = withOtherKeys(honest, domain.identities.get('hsm-3')!);
  const newcomer = workerOf(admitted);
  expect(await storing(hostile, [newcomer, workerOf(maker), workerOf(second)])).toBe('TokenLogError');
  expect(await storing(honest, [newcomer, workerOf(maker), workerOf(second)])).toBe('with');
  // A hostile worker that says it is a member passes on what the newcomer signed.
  const relay = workerOf(third, {
    describe: async () => second.describe(),
    check: async (token) => newcomer.check(token),
  });
  expect(await storing(hostile, [newcomer, relay])).toBe('TokenLogError');
  expect(await storing(honest, [newcomer, workerOf(third), lateOne(second)])).toBe('UnconfirmedError');
  expect(await storing(honest, [newcomer, workerOf(third)])).toBe('UnconfirmedError');
});

test.each([2, 3])(
  'of %i members, one that admits others and removes all who could compare its keys is not stored',
  async (members) => {
    const renewed = new TestDomain({ members });
    const [stays, ...leave] = renewed.hsms as [Hsm, ...Hsm[]];
    const fresh = renewed.newHsm('hsm-9');
    fresh.install(renewed.tokens);
    const body = { admit: [memberOf(fresh)], remove: leave.map(({ memberId }) => memberId) };
    const token = renewed.make({ name: 'ModifyMembers', body }, renewed.people, stays);
    const all = [stays, ...leave, fresh].map((hsm) => workerOf(hsm));
    expect(await storing(token, all, renewed)).toBe('UnconfirmedError');
    expect(await storing(token, [all[0]!], renewed)).toBe('UnconfirmedError');
  },
);

test('a token that one member cannot open is not stored, whoever confirms, also if that member is in a safe', async () => {
  const withSafe = new TestDomain({ members: 4 });
  const workers = withSafe.hsms.slice(0, 3).map((hsm) => workerOf(hsm));
  const honest = withSafe.make(rotation);
  const owned = withSafe.identities.get('hsm-1')!;
  for (const victim of ['hsm-3', 'hsm-4']) {
    const hostile = sealedNotFor([victim], honest, owned);
    expect(await storing(hostile, workers, withSafe)).toBe('TokenLogError');
    expect(await storing(hostile, workers.slice(0, 2), withSafe)).toBe('TokenLogError');
  }
  expect(await storing(honest, workers, withSafe)).toBe('with');
});

test('a member that has just restarted gets the newest keys first, and compares', async () => {
  for (const [token, outcome] of [
    [endsTheDomain, 'TokenLogError'],
    [good, 'with'],
  ] as const) {
    const restarted = domain.newHsm('hsm-2', second.sealedIdentity());
    expect(restarted.describe().generation).toBe(0);
    expect(await storing(token, [workerOf(maker), workerOf(restarted)])).toBe(outcome);
  }
});

test('members that hold what the store lost refuse another token in its place, also one of whom they removed', async () => {
  const rolledBack = new TestDomain({ members: 3 });
  const [first, former, last] = rolledBack.hsms as [Hsm, Hsm, Hsm];
  const fork = rolledBack.make(rotation, rolledBack.people, former);
  const workers = [former, first, last].map((hsm) => workerOf(hsm));
  expect(await storing(fork, workers, rolledBack)).toBe('with');
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
    const [first, other, missedIt, last] = of.hsms as [Hsm, Hsm, Hsm, Hsm];
    const fork = of.make(rotation, of.people, other);
    const made = of.make(rotation, of.people, first);
    last.install([of.witnessed(made)]);
    return { of, fork, made, last, first, missedIt, others: [other, first, missedIt].map((hsm) => workerOf(hsm)) };
  };

  test('suffices, however many missed it, also when it has been started again', async () => {
    const { of, fork, made, last, others } = withLost();
    for (const hsm of [last, of.newHsm('hsm-4', last.sealedIdentity())]) {
      expect(await storing(fork, [...others, workerOf(hsm)], of)).toBe('TokenLogError');
      expect(await storing(of.witnessed(fork), [...others, workerOf(hsm)], of)).toBe('TokenLogError');
      expect(await storing(made, [...others, workerOf(hsm)], of)).toBe('with');
    }
  });

  test('suffices, if it is the maker of the other token, and until a quorum has signed that it is removed', async () => {
    const { of, fork, made, others } = withLost();
    const maker = of.hsms[1]!;
    const [, ...besideMaker] = others;
    maker.install([of.witnessed(made)]);
    for (const hsm of [maker, of.newHsm('hsm-2', maker.sealedIdentity())]) {
      const workers = [workerOf(hsm), ...besideMaker];
      for (const token of [fork, of.witnessed(fork)]) expect(await storing(token, workers, of)).toBe('TokenLogError');
      expect(await storing(fork, workers, of, new Map([['hsm-2', new Set(['hsm-1'])]]))).toBe('with');
    }
    expect(await storing(fork, [workerOf(maker, { check: away }), ...besideMaker], of)).toBe('with');
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
    const token = of.make(removal, of.people, missedIt);
    expect(await storing(token, [...others, workerOf(last)], of)).toBe('with');
  });

  test('does not once a quorum has signed that the maker removes it, though the token is of another change', async () => {
    const { of, fork, last, others } = withLost();
    const workers = [...others, workerOf(last)];
    expect(await storing(fork, workers, of)).toBe('TokenLogError');
    expect(await storing(fork, workers, of, new Map([['hsm-4', new Set(['hsm-1'])]]))).toBe('TokenLogError');
    expect(await storing(fork, workers, of, new Map([['hsm-4', new Set(['hsm-2'])]]))).toBe('with');
  });

  test('was a member before: who is only being admitted holds nothing', async () => {
    const of = new TestDomain({ members: 2 });
    const fresh = of.newHsm('hsm-3');
    const token = of.make({ name: 'ModifyMembers', body: { admit: [memberOf(fresh)], remove: [] } });
    fresh.install(of.tokens);
    const lie = async () =>
      signHeld({ domain: 'test', memberId: 'hsm-3', generation: 2, tokenHash: Buffer.alloc(32, 1) }, (message) =>
        of.identities.get('hsm-3')!.sign(message),
      );
    const liar = workerOf(fresh, { check: lie, describe: async () => ({ ...fresh.describe(), generation: 2 }) });
    for (const workers of [
      [workerOf(of.hsms[1]!), liar],
      [liar, workerOf(of.hsms[1]!)],
    ])
      expect(await storing(token, workers, of)).toBe('with');
  });

  test('proves it: who only says so, in its own name or another’s, holds nothing up', async () => {
    const { of, made, last, others, fork } = withLost();
    const proof = last.check(fork);
    const anotherDomain = new TestDomain({ members: 4, name: 'other' });
    anotherDomain.hsms[3]!.install([anotherDomain.rotate()]);
    const foreign = anotherDomain.hsms[3]!.check(anotherDomain.tokens[0]!);
    for (const name of ['hsm-2', 'hsm-4']) {
      const described = of.hsms.find(({ memberId }) => memberId === name)!.describe();
      for (const check of [away, async () => proof, async () => foreign]) {
        const liar = workerOf(last, { describe: async () => ({ ...described, generation: 9 }), check });
        expect(await storing(made, [...others, liar], of)).toBe('with');
      }
    }
  });
});

describe('a change that nobody could witness', () => {
  const members = [maker, second, third].map(memberOf);
  const before = { ...parseToken(domain.tokens[0]!).state, members };
  const removal = (...remove: string[]): Change => ({ name: 'ModifyMembers', body: { admit: [], remove } });

  async function waits(
    change: Change,
    workers: readonly Worker[],
    { state = before, unwitnessed = false }: { state?: DomainState | undefined; unwitnessed?: boolean } = {},
  ): Promise<string | undefined> {
    const { command } = newProposal({ ...domain.command(change), unwitnessed });
    return lacksWitness(parseDomainChange(command), state, await surveyWorkers(workers, undefined));
  }

  test('waits for one that could, and says whom to start, or what to sign if all are lost', async () => {
    const gone = [second, third].map((hsm) => workerOf(hsm, { describe: away }));
    for (const workers of [[], [workerOf(maker)], [workerOf(maker), ...gone], [lateOne(second)]]) {
      expect(await waits(rotation, workers)).toMatch(/start one of hsm-2, hsm-3\. If all are lost, .*--unwitnessed/);
      expect(await waits(removal('hsm-3'), workers)).toMatch(/start one of hsm-2\./);
    }
    expect(await waits(rotation, [workerOf(second)])).toBeUndefined();
    expect(await waits(removal('hsm-3'), [workerOf(third)])).toMatch(/start one of hsm-2\./);
    expect(
      await waits(
        removal('hsm-2', 'hsm-3'),
        [second, third].map((hsm) => workerOf(hsm)),
      ),
    ).toMatch(/^nobody who stays but hsm-1 has the domain keys: .*--unwitnessed/);
  });

  test('is made where it needs no witness', async () => {
    expect(await waits(removal('hsm-2', 'hsm-3'), [], { unwitnessed: true })).toBeUndefined();
    expect(await waits(rotation, [], { unwitnessed: true })).toBeUndefined();
    expect(await waits({ name: 'LeaveDomain', body: { memberId: 'hsm-2' } }, [])).toBeUndefined();
    const inSafe = members.map((one) => (one.memberId === 'hsm-1' ? one : { ...one, offline: true as const }));
    expect(await waits(rotation, [], { state: { ...before, members: inSafe } })).toBeUndefined();
    // They do not come to witness because somebody runs them.
    const workers = [second, third].map((hsm) => workerOf(hsm));
    const oneInSafe = members.map((one) => (one.memberId === 'hsm-2' ? { ...one, offline: true as const } : one));
    expect(await waits(rotation, workers.slice(0, 1), { state: { ...before, members: oneInSafe } })).toMatch(
      /start one of hsm-3\./,
    );
  });

  test('is waited for at the ceremony too: one of the other first members confirms the first token', async () => {
    const founding: Change = {
      name: 'CreateDomain',
      body: { members, operators: before.operators, rules: before.rules, backupHorizonMs: 0 },
    };
    const found = async (workers: readonly Worker[], body = founding.body) => {
      const bound = { domain: 'test', generation: 0, previousHash: Buffer.alloc(32), preparer: 'hsm-1' };
      const { command } = newProposal({ ...bound, name: 'CreateDomain', body } as never);
      return lacksWitness(parseDomainChange(command), undefined, await surveyWorkers(workers, undefined));
    };
    const waits = 'start one of hsm-2, hsm-3, or found the domain without them';
    expect(await found([workerOf(maker)])).toContain(waits);
    expect(await found([workerOf(domain.newHsm('hsm-2'))])).toContain(waits);
    expect(await found([workerOf(second)])).toBeUndefined();
    expect(await found([], { ...founding.body, members: members.slice(0, 1) } as never)).toBeUndefined();
  });
});
