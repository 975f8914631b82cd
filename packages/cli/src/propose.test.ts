import { describe, expect, test } from 'vitest';
import { rotation, TestDomain } from '@keyfleet/test-support/domain';
import { boundTo, type NewDomainChange, newProposal } from '@keyfleet/shared/domain/proposal';
import type { ProposalView } from './domain-manager-client.ts';
import { type Change, preparerOf, proposalText } from './propose.ts';

const proposed = { proposalId: 'ab'.repeat(32), command: ['RotateDomainKeys'], signedBy: ['alice'], generation: 0 };

test('the departure of a member is shown as the word of the domain-manager', () => {
  const text = proposalText({ ...proposed, standing: 'done', reason: '' });
  expect(text).toContain('Done, says the domain-manager');
  expect(proposalText({ ...proposed, standing: 'done', reason: '', generation: 3 })).toContain('at generation 3.');
});

test('what holds a signed proposal up is said once, with what to do about it', () => {
  const ready = (reason: string) =>
    proposalText({ ...proposed, standing: 'ready', reason })
      .split('\n')
      .at(-1);
  expect(ready('')).toBe('It has all its signatures, and is about to be carried out.');
  const reason = 'no other member is in reach to confirm what hsm-1 makes: start one of hsm-2';
  expect(ready(reason)).toBe(`It has all its signatures, but ${reason}`);
});

describe('the member that makes the token, where none is named', () => {
  const known = new TestDomain().hsms[0]!.installed!;
  const { generation } = known.state;
  const [first, second] = known.state.members.map(({ memberId }) => memberId);
  /** A domain-manager that looks at its workers between these answers; the last one stays. */
  const clientOf = (...answers: readonly object[][]) => {
    const left = [...answers];
    const status = async () => ({ workers: left.length > 1 ? left.shift()! : left[0]! }) as never;
    return { status, listProposals: async () => [] };
  };
  const member = (id: string | undefined, has = generation) => ({ standing: 'member', member_id: id, generation: has });
  const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: [first!] } };

  test('is waited for right after a change: the domain-manager has not seen yet that any has the newest token', async () => {
    const late = [member(first, generation - 1), member(second, generation - 1)];
    const client = clientOf(late, [{ standing: 'unreachable' }], [member(first), member(second)]);
    expect(await preparerOf(rotation, { client, known, named: undefined })).toBe(first);
  });

  test('of a rotation is rather one that nobody has named for another change: what it withdraws may bind that', async () => {
    const named = (preparer: string | undefined) => {
      const change = {
        ...boundTo({ state: known.state, hash: Buffer.alloc(32) }, preparer!),
        ...removal,
      } as NewDomainChange;
      return { proposal: newProposal(change) } as ProposalView;
    };
    const there = clientOf([member(first), member(second)]);
    for (const [waiting, chosen] of [
      [[named(first)], second],
      [[named(second)], first],
      [[named(first), named(second)], first],
    ] as const) {
      const client = { ...there, listProposals: async () => [...waiting] };
      expect(await preparerOf(rotation, { client, known, named: undefined })).toBe(chosen);
      expect(await preparerOf(rotation, { client, known, named: first })).toBe(first);
      expect(await preparerOf(removal, { client, known, named: undefined })).toBe(second);
    }
  });

  test('has the newest token, and remains a member', async () => {
    for (const workers of [
      [member(first, generation - 1), member(second)],
      [member(first), member(second)],
    ])
      expect(await preparerOf(removal, { client: clientOf(workers), known, named: undefined })).toBe(second);
    await expect(
      preparerOf(removal, { client: clientOf([member(first)]), known, named: undefined }, -1),
    ).rejects.toThrow('no reachable worker can make the domain token');
  });
});
