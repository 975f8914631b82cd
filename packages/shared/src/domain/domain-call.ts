import { hash } from 'node:crypto';
import { z } from 'zod';
import { bytes, defineFormat } from '../encoding/canonical.ts';
import { DomainError } from './domain-error.ts';
import { signature, type Signer } from './proposal.ts';
import { decodeOrRefuse, isSignatureOf, signBytes } from './signature.ts';
import { domainName, entityId, type Operator, sha256Hash } from './state.ts';

/**
 * Proof of who asks a member to change: a scheduler's signature over the call (docs/formats.md, "Domain call"). It
 * authorizes no change, since proposals and tokens carry their own authority. It keeps strangers from choosing what a
 * member is shown, and when.
 */
export const domainCallMethods = [
  'PrepareDomainToken',
  'InstallDomainTokens',
  'ActivateDomainKey',
  'LeaveDomain',
  'CheckDomainToken',
] as const;
export type DomainCallMethod = (typeof domainCallMethods)[number];

/**
 * A call is accepted this long before and after its stated time. Repeated within it, the call has no further effect.
 */
export const CALL_SKEW_MS = 300_000;

const DomainCall = defineFormat(
  'keyfleet/domain-call/1',
  z.object({
    domain: domainName,
    method: z.enum(domainCallMethods),
    /** The member called. */
    memberId: entityId,
    callerId: entityId,
    /** Milliseconds since the epoch. */
    issuedAt: z.int().min(0),
    requestHash: sha256Hash,
  }),
);

const SignedCall = defineFormat('keyfleet/domain-call/signed/1', z.object({ call: bytes({ max: 1024 }), signature }));

/** The byte strings of a request, in field order; a number as its decimal digits. */
const Request = defineFormat('keyfleet/domain-call/request/1', z.object({ parts: z.array(bytes()) }));

/** What is called, on which member, with which request. */
export interface CallSubject {
  readonly domain: string;
  readonly method: DomainCallMethod;
  readonly memberId: string;
  readonly request: readonly Uint8Array[];
}

export function signCall(subject: CallSubject, { operatorId, privateKey }: Signer, now: number): Buffer {
  const { domain, method, memberId, request } = subject;
  const requestHash = hashOf(request);
  const call = DomainCall.encode({ domain, method, memberId, callerId: operatorId, issuedAt: now, requestHash });
  return SignedCall.encode({ call, signature: signBytes(privateKey, call) });
}

/**
 * Which of `schedulers` signed exactly this call, about now; a name may have had several keys. Throws
 * `DomainError('unauthorized-call')` if none did.
 */
export function verifyCall(
  signed: Uint8Array,
  subject: CallSubject,
  { schedulers, now }: { readonly schedulers: readonly Operator[]; readonly now: number },
): Operator {
  const { call: bytesOfCall, signature: signatureOfCall } = decodeOrRefuse(SignedCall, signed);
  const call = decodeOrRefuse(DomainCall, bytesOfCall);
  const { domain, method, memberId, request } = subject;
  if (call.domain !== domain || call.method !== method || call.memberId !== memberId) {
    throw unauthorized(`the call is signed for ${call.method} of ${call.memberId} in ${call.domain}`);
  }
  if (Math.abs(now - call.issuedAt) > CALL_SKEW_MS) throw unauthorized('the call is too old, or a clock is wrong');
  const named = schedulers.filter(({ operatorId }) => operatorId === call.callerId);
  if (named.length === 0) throw unauthorized(`${call.callerId} is not a scheduler of the domain`);
  const caller = named.find(({ signingKey }) => isSignatureOf(signingKey, bytesOfCall, signatureOfCall));
  if (caller === undefined) throw unauthorized(`the signature of ${call.callerId} does not verify`);
  // Last, because a request is megabytes: a stranger's is not even hashed.
  if (!hashOf(request).equals(call.requestHash)) throw unauthorized('the request is not the one that was signed');
  return caller;
}

function hashOf(request: readonly Uint8Array[]): Buffer {
  return hash('sha256', Request.encode({ parts: [...request] }), 'buffer');
}

function unauthorized(message: string): DomainError {
  return new DomainError('unauthorized-call', message);
}
