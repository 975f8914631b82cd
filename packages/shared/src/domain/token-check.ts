import { z } from 'zod';
import { bytes, defineFormat, isLabelled } from '../encoding/canonical.ts';
import { DomainError } from './domain-error.ts';
import { signature } from './proposal.ts';
import { decodeOrRefuse, isSignatureOf } from './signature.ts';
import { domainName, entityId, type Member, sha256Hash } from './state.ts';
import type { DomainToken } from './token.ts';

/**
 * A member's statement that it has opened a token (docs/formats.md, "Token check"). It is signed, because whoever
 * answers at a worker's address may claim to be any member: otherwise a token's maker could be its own witness.
 */
const TokenCheck = defineFormat(
  'keyfleet/domain-token-check/1',
  z.object({ domain: domainName, memberId: entityId, tokenHash: sha256Hash }),
);
const SignedCheck = defineFormat('keyfleet/domain-token-check/signed/1', z.object({ check: bytes(), signature }));

/**
 * A member's statement that it holds a token of which the chain knows nothing, in answer to one that would take its
 * place, or that of a token before it. Signed for the same reason: a refusal in somebody's name must not hold changes
 * up.
 */
const HeldToken = defineFormat(
  'keyfleet/domain-token-held/1',
  z.object({ domain: domainName, memberId: entityId, generation: z.int().min(1), tokenHash: sha256Hash }),
);
const SignedHeld = defineFormat('keyfleet/domain-token-held/signed/1', z.object({ held: bytes(), signature }));

/** `sign`: with the member's identity. */
export function signHeld(held: ReturnType<typeof HeldToken.decode>, sign: (message: Uint8Array) => Uint8Array): Buffer {
  const encoded = HeldToken.encode(held);
  return SignedHeld.encode({ held: encoded, signature: sign(encoded) });
}

/** Where a token stands in its chain. */
export interface Place {
  readonly generation: number;
  readonly hash: Uint8Array;
  readonly previousHash: Uint8Array | undefined;
}

export function placeOf({ state, hash, previousHash }: DomainToken): Place {
  return { generation: state.generation, hash, previousHash };
}

/** Whether there can be no chain with both this token and `newest` as its end. Of an older one nobody can tell. */
export function isOffChain(held: Pick<Place, 'generation' | 'hash'>, newest: Place): boolean {
  const behind = newest.generation - held.generation;
  if (behind > 1) return false;
  // Before the first token there is none: generation 0, without a hash.
  const expected = [newest.hash, newest.previousHash ?? Buffer.of()][behind];
  return expected === undefined || Buffer.compare(held.hash, expected) !== 0;
}

/** A member signed that it holds another token. */
export class HeldTokenError extends DomainError {
  /** Of the token that it holds. */
  readonly generation: number;
  readonly tokenHash: Uint8Array;

  constructor(memberId: string, { generation, hash }: Pick<Place, 'generation' | 'hash'>) {
    super(
      'forked',
      `${memberId} signs that it holds another domain token ${generation}, which the store has lost: restore the store, or, if that member lies, remove it from the domain, and take its address out of hsmWorkers`,
    );
    this.generation = generation;
    this.tokenHash = hash;
  }
}

/** `sign`: with the member's identity. */
export function signCheck(
  check: ReturnType<typeof TokenCheck.decode>,
  sign: (message: Uint8Array) => Uint8Array,
): Buffer {
  const encoded = TokenCheck.encode(check);
  return SignedCheck.encode({ check: encoded, signature: sign(encoded) });
}

/** What a member was asked about. */
export interface CheckedToken extends Place {
  readonly domain: string;
}

/** Throws `DomainError` unless one of `members` signed that it has opened this token. */
export function assertChecked(signed: Uint8Array, members: readonly Member[], token: CheckedToken): void {
  if (isLabelled(SignedHeld, signed)) throw new DomainError('malformed', 'it says that it holds another token');
  const { check: encoded, signature: signatureOfCheck } = decodeOrRefuse(SignedCheck, signed);
  const { domain, memberId, tokenHash } = decodeOrRefuse(TokenCheck, encoded);
  const member = members.find((one) => one.memberId === memberId);
  const isOfToken = domain === token.domain && Buffer.compare(tokenHash, token.hash) === 0;
  if (member === undefined || !isOfToken || !isSignatureOf(member.signingKey, encoded, signatureOfCheck)) {
    throw new DomainError('forged', 'no member that may say so has signed that it opened the token');
  }
}

/** Throws `HeldTokenError` if one of `holders` signed that it holds another token; `DomainError` for rubbish. */
export function assertHoldsNoOther(signed: Uint8Array, holders: readonly Member[], token: CheckedToken): void {
  if (!isLabelled(SignedHeld, signed)) return;
  const { held: encoded, signature: signatureOfHeld } = decodeOrRefuse(SignedHeld, signed);
  const { domain, memberId, generation, tokenHash } = decodeOrRefuse(HeldToken, encoded);
  const holder = holders.find((one) => one.memberId === memberId);
  const other = { generation, hash: tokenHash };
  const isOther = domain === token.domain && isOffChain(other, token);
  if (holder !== undefined && isOther && isSignatureOf(holder.signingKey, encoded, signatureOfHeld)) {
    throw new HeldTokenError(memberId, other);
  }
}
