import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { atOnce } from '@keyfleet/hsm-worker/boundary/steps';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { parseDomainChange, Proposal, signProposal } from '@keyfleet/shared/domain/proposal';
import type { Member, NewMember } from '@keyfleet/shared/domain/state';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { expect } from 'vitest';
import { type Change, inVersion2, refusalOf, rotation, type TestDomain } from './domain.ts';

/** The next token as its maker made it. */
export function madeBy(domain: TestDomain, change: Change, by = domain.hsms[0]!, signers = domain.people): Uint8Array {
  return by.prepare(domain.propose(change, signers, by), domain.tokens.at(-1));
}

/** What an HSM says of a token that was made, where nothing else waits. */
export function checkedBy(hsm: Hsm, ...question: Parameters<Hsm['checking']>): Buffer {
  return atOnce(hsm.checking(...question));
}

/** What everybody says of `token` at the end of the chain, with this witness. */
export function verdict(domain: TestDomain, token: Uint8Array, witness?: Uint8Array): string {
  const { made } = parseToken(token);
  const whole = witness === undefined ? Buffer.from(made) : withWitness({ made }, witness);
  const chain = refusalOf(() => verifyChain(domain.anchor, [...domain.tokens, whole]));
  const newcomer = domain.newHsm('newcomer');
  expect(refusalOf(() => newcomer.install([...domain.tokens, whole]))).toBe(chain);
  return chain;
}

export const removal = (...remove: string[]): Change => ({ name: 'ModifyMembers', body: { admit: [], remove } });
export const replacement = (admit: readonly Member[], ...remove: string[]) =>
  ({ name: 'ModifyMembers', body: { admit: admit as NewMember[], remove } }) as Change;

/** A rotation that people signed with an older release. */
export function proposalOfVersion2(domain: TestDomain): Buffer {
  const command = inVersion2(Proposal.decode(domain.propose(rotation)).command);
  expect(parseDomainChange(command)).toMatchObject({ version: 2, name: 'RotateDomainKeys', unwitnessed: false });
  return Proposal.encode(domain.people.reduce(signProposal, { command, signatures: [] }));
}
