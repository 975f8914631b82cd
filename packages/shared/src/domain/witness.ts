import { isLabelled } from '../encoding/canonical.ts';
import { DomainError } from './domain-error.ts';
import { type DomainChange, parseDomainChange, parseProposal, Proposal, type UnboundChange } from './proposal.ts';
import { verifyFounding, verifyProposal } from './quorum.ts';
import { isMember, type Member, onlineMembers, type VerifiedDomain } from './state.ts';
import type { DomainToken } from './token.ts';
import { assertChecked, placeOf } from './token-check.ts';
import type { TrustAnchor } from './trust-anchor.ts';

/**
 * Whether another member must confirm what `maker` makes: whether another than an offline one has the domain keys, and
 * so could have found that they were replaced. `before`: the members that the change begins with.
 */
export function needsWitness(
  before: readonly Member[],
  { version, unwitnessed }: Pick<DomainChange, 'version' | 'unwitnessed'>,
  maker: string,
): boolean {
  return version >= 3 && !unwitnessed && onlineMembers(before).some(({ memberId }) => memberId !== maker);
}

/** Who may confirm it: whom it admits has no keys to compare, and for whom it removes nothing in it is sealed. */
export function witnessesOf(before: readonly Member[], after: readonly Member[], maker: string): Member[] {
  return onlineMembers(before).filter((one) => one.memberId !== maker && isMember({ members: after }, one));
}

/** The same of a token that the preparer has not made yet. */
export function witnessesFor(
  before: readonly Member[],
  change: DomainChange | UnboundChange,
  preparer: string,
): Member[] {
  return witnessesOf(before, stayingIn(before, change), preparer);
}

/** The members that the change does not remove. */
export function stayingIn(before: readonly Member[], change: DomainChange | UnboundChange): Member[] {
  const leaving: readonly string[] = change.name === 'ModifyMembers' ? change.body.remove : [];
  return before.filter(({ memberId }) => !leaving.includes(memberId));
}

/**
 * Anyone can verify a token, whatever is sealed in it: its maker could replace the domain keys, or seal it for nobody,
 * and a domain whose members cannot open its newest token is finished. So it counts only with the signature of another
 * member that has opened it and found the keys that it holds, if there is one: its *witness*. In its place, those who
 * may change the members may sign for this maker and this generation that its word is enough. Throws `DomainError`.
 */
export function assertWitnessed(anchor: TrustAnchor, previous: VerifiedDomain | undefined, token: DomainToken): void {
  const { state, signerId, proposal, witness } = token;
  const { generation, domain } = state;
  const before = (previous?.state ?? state).members;
  if (!needsWitness(before, parseDomainChange(proposal.command), signerId)) {
    if (witness === undefined) return;
    throw new DomainError('malformed', `token ${generation} has a witness and needs none`);
  }
  if (witness === undefined) {
    throw new DomainError('unwitnessed', `no other member confirms token ${generation}, which ${signerId} made`);
  }
  if (isLabelled(Proposal, witness)) return assertWaived(anchor, previous, { witness, signerId });
  assertChecked(witness, witnessesOf(before, state.members, signerId), { domain, ...placeOf(token) });
}

/**
 * A member makes one token of a generation. If it made that for another change, and all that could confirm it are lost
 * or lie, people could not remove these.
 */
function assertWaived(
  anchor: TrustAnchor,
  previous: VerifiedDomain | undefined,
  { witness, signerId }: { readonly witness: Uint8Array; readonly signerId: string },
): void {
  const proposal = parseProposal(witness);
  const change = previous === undefined ? verifyFounding(anchor, proposal) : verifyProposal(previous, proposal);
  if (change.unwitnessed && change.preparer === signerId) return;
  throw new DomainError('forged', `nobody signed that the word of ${signerId} is enough`);
}
