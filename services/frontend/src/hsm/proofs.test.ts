import type { Member, VerifiedDomain } from '@keyfleet/shared/domain/state';
import { memberOf, TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { Proofs } from './proofs.ts';

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
