import { foundedState, type Making, nextState } from './apply.ts';
import { DomainError } from './domain-error.ts';
import type { DomainChange } from './proposal.ts';
import { verifyFounding, verifyProposal } from './quorum.ts';
import { isSignatureOf } from './signature.ts';
import { activeDomainKey, DomainState, isMember, type Member, type VerifiedDomain } from './state.ts';
import { type DomainToken, parseToken } from './token.ts';
import type { Checkpoint, TrustAnchor } from './trust-anchor.ts';
import { assertWitnessed } from './witness.ts';

/** How far the clocks of a token's maker and its reader may differ. */
export const CLOCK_TOLERANCE_MS = 10 * 60_000;

/**
 * Verifies the founding token but for its witness: enough founders signed its change, and its state is what the change
 * says. Throws `DomainError`.
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
 * Verifies the token after `previous` but for its witness: it names `previous` by hash, and its state is exactly what
 * its domain change makes; the rules of `previous` allow the change; and the signer is the member that the change
 * names, both before and after. No token is of an older version than the one before. Throws `DomainError`.
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

/** The end of a chain that begins with the founding token or continues after `known`. Throws `DomainError`. */
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
 * One step of a chain, from the start or from `previous`, checked against the trust anchor's checkpoint if there is
 * one. Throws `DomainError`.
 */
export function follow(anchor: TrustAnchor, previous: VerifiedDomain | undefined, token: DomainToken): VerifiedDomain {
  const verified = followMade(anchor, previous, token);
  assertWitnessed(anchor, previous, token);
  return verified;
}

/** The same for a token that may have no witness yet: for whoever is to be one, or asks for one. */
export function followMade(
  anchor: TrustAnchor,
  previous: VerifiedDomain | undefined,
  token: DomainToken,
): VerifiedDomain {
  const verified = previous === undefined ? verifyGenesis(anchor, token) : verifyNext(previous, token);
  assertComesBy(anchor.checkpoint, verified);
  return verified;
}

/** Throws `DomainError('forked')` for a different token of the checkpoint's generation. */
export function assertComesBy(
  checkpoint: Checkpoint | undefined,
  { state, hash }: { readonly state: Pick<DomainState, 'generation'>; readonly hash: Uint8Array },
): void {
  if (state.generation !== checkpoint?.generation || Buffer.compare(hash, checkpoint.hash) === 0) return;
  throw new DomainError('forked', `token ${state.generation} is not the one that was known before`);
}

/** Whether the chain has reached the checkpoint. Before that, it may be the beginning of another domain's. */
export function reaches({ state }: VerifiedDomain, checkpoint: Checkpoint | undefined): boolean {
  return state.generation >= (checkpoint?.generation ?? 0);
}

export function isFromFuture({ state }: { readonly state: DomainState }, now: number): boolean {
  return state.madeAt > now + CLOCK_TOLERANCE_MS;
}

/**
 * Refuses a token dated later than now by more than clocks may differ: its maker's clock or the caller's is wrong.
 * Everyone who makes, stores, installs or follows tokens calls this; the chain itself is valid at any time. Throws
 * `DomainError('from-the-future')`.
 */
export function assertNotFromFuture(domain: { readonly state: DomainState }, now: number): void {
  if (!isFromFuture(domain, now)) return;
  const { state } = domain;
  const ahead = Math.round((state.madeAt - now) / 60_000);
  throw new DomainError(
    'from-the-future',
    `token ${state.generation} was made ${ahead} minutes from now: its maker's clock or the one here is wrong`,
  );
}

/** What the maker added, according to the token. */
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
  // Every member must get the strongest wrapping its keys allow, or data recorded today could be opened if P-384 is
  // broken one day.
  if (
    state.members.some(
      (one, i) => (one.encapsulationKey === undefined) !== (wrappedKeys[i]!.encapsulated === undefined),
    )
  ) {
    throw new DomainError('wrong-state', `token ${state.generation} is not sealed under all keys of its members`);
  }
}

/**
 * The signer must be in both states: a removed member must not choose the new domain key, and an admitted one has no
 * say yet.
 */
function assertSignedByMember(token: DomainToken, change: DomainChange, membersBefore: readonly Member[]): void {
  const { signerId, state } = token;
  if (change.version >= 2 && signerId !== change.preparer) {
    throw new DomainError('forged', `the change names ${change.preparer} as its preparer, and ${signerId} signed`);
  }
  const signer = membersBefore.find(({ memberId }) => memberId === signerId);
  if (signer === undefined || !isMember(state, signer)) {
    throw new DomainError('forged', `${signerId} is not a member before and after token ${state.generation}`);
  }
  assertSignature(token);
}

/**
 * For a token whose body was verified before, perhaps with another signature, which the hash does not cover. Throws
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
