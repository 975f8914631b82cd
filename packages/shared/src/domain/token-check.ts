import { z } from 'zod';
import { bytes, defineFormat } from '../encoding/canonical.ts';
import { DomainError } from './domain-error.ts';
import { signature } from './proposal.ts';
import { decodeOrRefuse, isSignatureOf } from './signature.ts';
import { domainName, entityId, type Member, sha256Hash } from './state.ts';

/**
 * A member's statement that it has opened a token (docs/formats.md, "Token check"). It is signed, because whoever
 * answers at a worker's address may claim to be any member: otherwise a token's maker could be its own witness.
 */
const TokenCheck = defineFormat(
  'keyfleet/domain-token-check/1',
  z.object({ domain: domainName, memberId: entityId, tokenHash: sha256Hash }),
);
const SignedCheck = defineFormat('keyfleet/domain-token-check/signed/1', z.object({ check: bytes(), signature }));

/** `sign`: with the member's identity. */
export function signCheck(
  check: ReturnType<typeof TokenCheck.decode>,
  sign: (message: Uint8Array) => Uint8Array,
): Buffer {
  const encoded = TokenCheck.encode(check);
  return SignedCheck.encode({ check: encoded, signature: sign(encoded) });
}

/** Throws `DomainError` unless one of `members` signed that it has opened this token. */
export function verifyCheck(
  signed: Uint8Array,
  members: readonly Member[],
  token: { readonly domain: string; readonly hash: Uint8Array },
): void {
  const { check: encoded, signature: signatureOfCheck } = decodeOrRefuse(SignedCheck, signed);
  const { domain, memberId, tokenHash } = decodeOrRefuse(TokenCheck, encoded);
  const member = members.find((one) => one.memberId === memberId);
  const isOfToken = domain === token.domain && Buffer.compare(tokenHash, token.hash) === 0;
  if (member === undefined || !isOfToken || !isSignatureOf(member.signingKey, encoded, signatureOfCheck)) {
    throw new DomainError('forged', 'no member that may say so has signed that it opened the token');
  }
}
