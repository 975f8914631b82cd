import type { Member, VerifiedDomain } from '@keyfleet/shared/domain/state';
import { memberOf, TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { Proofs } from './proofs.ts';

test('what a member proves counts no more once it is marked as offline, be it from before that or from after', () => {
  const domain = new TestDomain({ members: 3 });
  const [one, two, three] = domain.hsms.map(memberOf) as [Member, Member, Member];
  const { state } = domain.hsms[0]!.installed!;
  const tokenOf = (members: Member[]): VerifiedDomain => ({ state: { ...state, members }, hash: Buffer.alloc(32) });
  const newest = (proofs: Proofs, members: readonly Member[]) => proofs.newestOf(members, 2, () => []);
  const inSafe = [one, two, { ...three, offline: true }];
  const [before, after] = [tokenOf([one, two, three]), tokenOf(inSafe)];
  const proofs = new Proofs((first, second) => first === second || (first === after && second === before));
  for (const member of [one, three]) proofs.note(member, before);
  expect(newest(proofs, [one, two, three])).toBe(before);
  expect(newest(proofs, inSafe)).toBeUndefined();
  expect(proofs.newestAfter(before, inSafe, () => true)).toBe(before);
  // It runs on, and another chain says nothing of it.
  for (const member of [one, three]) proofs.note(member, after);
  for (const members of [inSafe, [...inSafe, three]]) expect(newest(proofs, members)).toBeUndefined();
  proofs.note(two, after);
  expect(newest(proofs, inSafe)).toBe(after);
});

test('of two members of one name, whom two chains admit, each proves for itself', () => {
  const domain = new TestDomain();
  const [one, two] = domain.hsms.map(memberOf) as [Member, Member];
  const { state, tokenHash: hash } = domain.hsms[0]!.installed!;
  const another = { ...memberOf(domain.newHsm('hsm-9')), memberId: two.memberId };
  const proofs = new Proofs((first, second) => first === second);
  const token = { state: { ...state, members: [one, another] }, hash };
  for (const member of [one, another]) proofs.note(member, token);
  expect(proofs.newestOf([one, two, another], 2, () => [])).toBe(token);
});

test('two members prove a token, or all that there are: an offline one proves nothing', () => {
  const domain = new TestDomain({ members: 3 });
  const [one, two, three] = domain.hsms.map(memberOf) as [Member, Member, Member];
  const { state } = domain.hsms[0]!.installed!;
  const proven = (members: readonly Member[], by: readonly Member[]): boolean => {
    const token: VerifiedDomain = { state: { ...state, members: [...members] }, hash: Buffer.alloc(32) };
    const proofs = new Proofs((first, second) => first === second);
    for (const member of by) proofs.note(member, token);
    return proofs.newestOf(members, 2, () => []) !== undefined;
  };
  const offline = (member: Member): Member => ({ ...member, offline: true });
  expect(proven([one, two, three], [one])).toBe(false);
  expect(proven([one, two, three], [one, two])).toBe(true);
  expect(proven([one], [one])).toBe(true);
  expect(proven([one, offline(two)], [one])).toBe(true);
  expect(proven([one, offline(two), offline(three)], [one])).toBe(true);
  expect(proven([one, two, offline(three)], [one])).toBe(false);
});
