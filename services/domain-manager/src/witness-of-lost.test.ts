import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { signHeld } from '@keyfleet/shared/domain/token-check';
import { describe, expect, test } from 'vitest';
import { type Change, memberOf, rotation, TestDomain } from '../../../test/support/domain.ts';
import { checkedBy } from '../../../test/support/token-verdict.ts';
import { away, storedBy, workerOf } from '../../../test/support/witnesses.ts';

test('members that hold what the store lost refuse another token in its place, also one of whom they removed', async () => {
  const rolledBack = new TestDomain({ members: 3 });
  const [first, former, last] = rolledBack.hsms as [Hsm, Hsm, Hsm];
  const fork = rolledBack.make(rotation, rolledBack.people, former);
  const workers = [former, first, last].map((hsm) => workerOf(hsm));
  expect(await storedBy(fork, workers, rolledBack)).toBe('with');
  rolledBack.hsms.splice(1, 1);
  for (const change of [
    { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } },
    rotation,
  ] satisfies Change[]) {
    rolledBack.step(change);
    expect(former.describe().generation).toBe(1);
    expect(await storedBy(fork, workers, rolledBack)).toBe('TokenLogError');
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
      expect(await storedBy(fork, [...others, workerOf(hsm)], of)).toBe('TokenLogError');
      expect(await storedBy(of.witnessed(fork), [...others, workerOf(hsm)], of)).toBe('TokenLogError');
      expect(await storedBy(made, [...others, workerOf(hsm)], of)).toBe('with');
    }
  });

  test('suffices, if it is the maker of the other token, and until a quorum has signed that it is removed', async () => {
    const { of, fork, made, others } = withLost();
    const maker = of.hsms[1]!;
    const [, ...besideMaker] = others;
    maker.install([of.witnessed(made)]);
    for (const hsm of [maker, of.newHsm('hsm-2', maker.sealedIdentity())]) {
      const workers = [workerOf(hsm), ...besideMaker];
      for (const token of [fork, of.witnessed(fork)]) expect(await storedBy(token, workers, of)).toBe('TokenLogError');
      expect(await storedBy(fork, workers, of, new Map([['hsm-2', new Set(['hsm-1'])]]))).toBe('with');
    }
    expect(await storedBy(fork, [workerOf(maker, { check: away }), ...besideMaker], of)).toBe('with');
  });

  test('is asked, although a liar in another’s name was asked first and passed on what one that missed it signed', async () => {
    const { of, fork, last, first, missedIt, others } = withLost();
    const described = async () => ({ ...first.describe(), generation: 9 });
    const relay = workerOf(first, { describe: described, check: async (token) => checkedBy(missedIt, token) });
    expect(await storedBy(fork, [relay, ...others, workerOf(last)], of)).toBe('TokenLogError');
  });

  test('does not if the token removes it: it may lie', async () => {
    const { of, missedIt, last, others } = withLost();
    const removal = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-4'] } } satisfies Change;
    const token = of.make(removal, of.people, missedIt);
    expect(await storedBy(token, [...others, workerOf(last)], of)).toBe('with');
  });

  test('does not once a quorum has signed that the maker removes it, though the token is of another change', async () => {
    const { of, fork, last, others } = withLost();
    const workers = [...others, workerOf(last)];
    expect(await storedBy(fork, workers, of)).toBe('TokenLogError');
    expect(await storedBy(fork, workers, of, new Map([['hsm-4', new Set(['hsm-1'])]]))).toBe('TokenLogError');
    expect(await storedBy(fork, workers, of, new Map([['hsm-4', new Set(['hsm-2'])]]))).toBe('with');
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
      expect(await storedBy(token, workers, of)).toBe('with');
  });

  test('proves it: who only says so, in its own name or another’s, holds nothing up', async () => {
    const { of, made, last, others, fork } = withLost();
    const proof = checkedBy(last, fork);
    const anotherDomain = new TestDomain({ members: 4, name: 'other' });
    anotherDomain.hsms[3]!.install([anotherDomain.rotate()]);
    const foreign = checkedBy(anotherDomain.hsms[3]!, anotherDomain.tokens[0]!);
    for (const name of ['hsm-2', 'hsm-4']) {
      const described = of.hsms.find(({ memberId }) => memberId === name)!.describe();
      for (const check of [away, async () => proof, async () => foreign]) {
        const liar = workerOf(last, { describe: async () => ({ ...described, generation: 9 }), check });
        expect(await storedBy(made, [...others, liar], of)).toBe('with');
      }
    }
  });
});
