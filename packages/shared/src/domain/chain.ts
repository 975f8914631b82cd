import { foundedState, type Making, nextState } from './apply.ts';
import { DomainError } from './domain-error.ts';
import type { DomainChange } from './proposal.ts';
import { verifyFounding, verifyProposal } from './quorum.ts';
import { isSignatureOf } from './signature.ts';
import { activeDomainKey, DomainState, isMember, type Member, type VerifiedDomain } from './state.ts';
import { type DomainToken, parseToken } from './token.ts';
import type { Checkpoint, TrustAnchor } from './trust-anchor.ts';

/** How far the clocks of those who make tokens and those who take them may differ. */
const FUTURE_TOLERANCE_MS = 10 * 60_000;

/**
 * The founding token: its change is signed by enough founders, its state is what the change says. Throws `DomainError`.
 */
export function verifyGenesis(anchor: TrustAnchor, token: DomainToken): VerifiedDomain {
  if (token.state.domain !== anchor.domain) throw otherDomain(token);
  if (token.state.generation !== 1 || token.previousHash !== undefined) {
    throw new DomainError('skipped', `token ${token.state.generation} cannot be the first one`);
  }
  const change = verifyFounding(anchor, token.proposal, 1);
  assertMakes(foundedState(change, makingOf(token)), token);
  assertSignedByMember(token, change, token.state.members);
  return { state: token.state, hash: token.hash };
}

/**
 * The token after `previous`: names it by hash, shows exactly what its domain change makes, the change is allowed by
 * the rules of `previous`, and the signer is the member that the change names, before and after. Once a token is of
 * version 2, all that follow are. Throws `DomainError`.
 */
export function verifyNext(previous: VerifiedDomain, token: DomainToken): VerifiedDomain {
  const { state } = previous;
  if (token.state.domain !== state.domain) throw otherDomain(token);
  assertFollows(state.generation, token.state.generation);
  if (token.previousHash === undefined || !Buffer.from(token.previousHash).equals(previous.hash)) {
    throw new DomainError('forked', `token ${token.state.generation} follows another token ${state.generation}`);
  }
  const change = verifyProposal(previous, token.proposal, state.version);
  assertMakes(nextState(state, change, makingOf(token)), token);
  assertSignedByMember(token, change, state.members);
  return { state: token.state, hash: token.hash };
}

/** The end of a chain that begins with the founding token, or goes on after `known`. Throws `DomainError`. */
export function verifyChain(
  anchor: TrustAnchor,
  tokens: readonly Uint8Array[],
  known?: VerifiedDomain,
): VerifiedDomain {
  const verified = tokens.reduce((previous, bytes) => follow(anchor, previous, parseToken(bytes)), known);
  if (verified === undefined) throw new DomainError('no-domain', 'there is no domain token');
  if (!reaches(verified, anchor.checkpoint)) {
    throw new DomainError(
      'rolled-back',
      `the chain ends at token ${verified.state.generation}, before the trust anchor's checkpoint ${anchor.checkpoint!.generation}`,
    );
  }
  return verified;
}

/**
 * One step of a chain, from nothing or from `previous`, by the trust anchor's checkpoint if it has one. Throws
 * `DomainError`.
 */
export function follow(anchor: TrustAnchor, previous: VerifiedDomain | undefined, token: DomainToken): VerifiedDomain {
  const verified = previous === undefined ? verifyGenesis(anchor, token) : verifyNext(previous, token);
  assertComesBy(anchor.checkpoint, verified);
  return verified;
}

/** Throws `DomainError('forked')` for another token of the checkpoint's generation. */
export function assertComesBy(checkpoint: Checkpoint | undefined, { state, hash }: VerifiedDomain): void {
  if (state.generation !== checkpoint?.generation || Buffer.compare(hash, checkpoint.hash) === 0) return;
  throw new DomainError('forked', `token ${state.generation} is not the one that was known before`);
}

/** Whether the chain is at the checkpoint or past it; until it is, it may be the beginning of another domain's. */
export function reaches({ state }: VerifiedDomain, checkpoint: Checkpoint | undefined): boolean {
  return state.generation >= (checkpoint?.generation ?? 0);
}

export function isFromFuture({ state }: { readonly state: DomainState }, now: number): boolean {
  return state.madeAt > now + FUTURE_TOLERANCE_MS;
}

/**
 * A token that says it was made later than now, beyond what clocks may differ: its maker's clock is wrong, or the
 * caller's. Everyone who makes, stores, installs or follows tokens asks this; the chain itself is true at any time.
 * Throws `DomainError('from-the-future')`.
 */
export function assertNotFromFuture(domain: { readonly state: DomainState }, now: number): void {
  if (!isFromFuture(domain, now)) return;
  const { state } = domain;
  const ahead = Math.round((state.madeAt - now) / 60_000);
  throw new DomainError(
    'from-the-future',
    `token ${state.generation} was made ${ahead} minutes from now: the clock of its maker is wrong, or the one here`,
  );
}

/** What the token says that its maker added. */
function makingOf({ state }: DomainToken): Making {
  return { madeAt: state.madeAt, keyId: activeDomainKey(state).id };
}

function assertFollows(generation: number, next: number): void {
  if (next === generation + 1) return;
  const code = next <= generation ? 'stale' : 'skipped';
  throw new DomainError(code, `token ${next} does not follow token ${generation}`);
}

function assertMakes(expected: DomainState, { state, stateBytes, wrappedKeys }: DomainToken): void {
  if (!DomainState.encode(expected).equals(stateBytes)) {
    throw new DomainError('wrong-state', `the state of token ${state.generation} is not what its domain change makes`);
  }
  const wrappedFor = wrappedKeys.map(({ memberId }) => memberId);
  if (wrappedFor.length !== state.members.length || state.members.some((one, i) => one.memberId !== wrappedFor[i])) {
    throw new DomainError('wrong-state', `token ${state.generation} is not sealed for exactly its members`);
  }
  // Less than a member's keys allow is refused, or what is recorded today could be opened by who breaks P-384 one day.
  if (
    state.members.some(
      (one, i) => (one.encapsulationKey === undefined) !== (wrappedKeys[i]!.encapsulated === undefined),
    )
  ) {
    throw new DomainError('wrong-state', `token ${state.generation} is not sealed under all keys of its members`);
  }
}

/**
 * A member of both states: one being removed must not choose the new domain key, and one being admitted has no say yet.
 */
function assertSignedByMember(token: DomainToken, change: DomainChange, membersBefore: readonly Member[]): void {
  const { signerId, state } = token;
  if (change.version === 2 && signerId !== change.preparer) {
    throw new DomainError('forged', `the change names ${change.preparer} as its preparer, and ${signerId} signed`);
  }
  const signer = membersBefore.find(({ memberId }) => memberId === signerId);
  if (signer === undefined || !isMember(state, signer)) {
    throw new DomainError('forged', `${signerId} is not a member before and after token ${state.generation}`);
  }
  assertSignature(token);
}

/**
 * Of a token whose body was verified before, perhaps with another signature: the hash leaves it out. Throws
 * `DomainError('forged')`.
 */
export function assertSignature({ state, signerId, body, signature }: DomainToken): void {
  const signer = state.members.find(({ memberId }) => memberId === signerId);
  if (signer === undefined || !isSignatureOf(signer.signingKey, body, signature)) {
    throw new DomainError('forged', `the signature of ${signerId} does not verify`);
  }
}

function otherDomain({ state }: DomainToken): DomainError {
  return new DomainError('other-domain', `the token is of domain ${state.domain}`);
}
