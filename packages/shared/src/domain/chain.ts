import { foundedState, nextState } from './apply.ts';
import { DomainError } from './domain-error.ts';
import { verifyFounding, verifyProposal } from './quorum.ts';
import { isSignatureOf } from './signature.ts';
import { activeDomainKey, DomainState, isMember, type Member } from './state.ts';
import { type DomainToken, parseToken } from './token.ts';
import type { TrustAnchor } from './trust-anchor.ts';

/** A state that follows from the trust anchor, and the hash of the token that made it. */
export interface VerifiedDomain {
  readonly state: DomainState;
  readonly hash: Uint8Array;
}

/** The founding token: its command is signed by enough founders, its state is what the command says. Throws `DomainError`. */
export function verifyGenesis(anchor: TrustAnchor, token: DomainToken): VerifiedDomain {
  if (token.state.domain !== anchor.domain) throw otherDomain(token);
  if (token.state.generation !== 1 || token.previousHash !== undefined) {
    throw new DomainError('skipped', `token ${token.state.generation} cannot be the first one`);
  }
  const command = verifyFounding(anchor, token.proposal);
  assertMakes(foundedState(command, activeDomainKey(token.state)), token);
  assertSignedByMember(token, token.state.members);
  return { state: token.state, hash: token.hash };
}

/**
 * The token after `previous`: names it by hash, shows exactly the change that its command makes, and the command is allowed by
 * the rules of `previous`, and the signer is a member before and after. Throws `DomainError`.
 */
export function verifyNext(previous: VerifiedDomain, token: DomainToken): VerifiedDomain {
  const { state } = previous;
  if (token.state.domain !== state.domain) throw otherDomain(token);
  assertFollows(state.generation, token.state.generation);
  if (token.previousHash === undefined || !Buffer.from(token.previousHash).equals(previous.hash)) {
    throw new DomainError('forked', `token ${token.state.generation} follows another token ${state.generation}`);
  }
  const command = verifyProposal(state, token.proposal);
  assertMakes(nextState(state, command, activeDomainKey(token.state)), token);
  assertSignedByMember(token, state.members);
  return { state: token.state, hash: token.hash };
}

/** The end of a chain that begins with the founding token, or goes on after `known`. Throws `DomainError`. */
export function verifyChain(
  anchor: TrustAnchor,
  tokens: readonly Uint8Array[],
  known?: VerifiedDomain,
): VerifiedDomain {
  const verified = tokens.reduce((previous, bytes) => {
    const token = parseToken(bytes);
    return previous === undefined ? verifyGenesis(anchor, token) : verifyNext(previous, token);
  }, known);
  if (verified === undefined) throw new DomainError('no-domain', 'there is no domain token');
  return verified;
}

function assertFollows(generation: number, next: number): void {
  if (next === generation + 1) return;
  const code = next <= generation ? 'stale' : 'skipped';
  throw new DomainError(code, `token ${next} does not follow token ${generation}`);
}

function assertMakes(expected: DomainState, { state, stateBytes, wrappedKeys }: DomainToken): void {
  if (!DomainState.encode(expected).equals(stateBytes)) {
    throw new DomainError('wrong-state', `the state of token ${state.generation} is not what its command makes`);
  }
  const wrappedFor = wrappedKeys.map(({ memberId }) => memberId);
  if (wrappedFor.length !== state.members.length || state.members.some((one, i) => one.memberId !== wrappedFor[i])) {
    throw new DomainError('wrong-state', `token ${state.generation} is not sealed for exactly its members`);
  }
}

/** A member of both states: one being removed must not choose the new domain key, and one being admitted has no say yet. */
function assertSignedByMember(token: DomainToken, membersBefore: readonly Member[]): void {
  const { signerId, state } = token;
  const signer = membersBefore.find(({ memberId }) => memberId === signerId);
  if (signer === undefined || !isMember(state, signer)) {
    throw new DomainError('forged', `${signerId} is not a member before and after token ${state.generation}`);
  }
  if (!isSignatureOf(signer.signingKey, token.body, token.signature)) {
    throw new DomainError('forged', `the signature of ${signerId} does not verify`);
  }
}

function otherDomain({ state }: DomainToken): DomainError {
  return new DomainError('other-domain', `the token is of domain ${state.domain}`);
}
