import { hash } from 'node:crypto';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { MISMATCH } from '../request/authenticate.ts';
import type { EdgeRequest } from '../request/attempt.ts';

const RULE = 'docs/grpc.md has the rule.';

/** Throws KmsException unless these are the bytes whose hash the call's signature covers. */
export function assertHashed(message: Buffer, { payloadHash }: Pick<EdgeRequest, 'payloadHash'>): void {
  const received = hash('sha256', message, 'hex');
  if (received === payloadHash) return;
  throw new KmsException(
    'InvalidSignatureException',
    `The message is not the one that was signed: the SHA-256 of the ${message.length} bytes received is '${received}', ` +
      `x-amz-content-sha256 states '${payloadHash}'. Marshal the message once, and send the bytes that you hashed. ${RULE}`,
  );
}

/**
 * gRPC callers write their own signing code, so for a signature that does not match the error says what it should have
 * covered: only what the caller sent, and nothing that may be secret, neither the session token nor the whole canonical
 * request.
 */
export function explained(error: unknown, request: EdgeRequest): unknown {
  if (!(error instanceof KmsException) || error.message !== MISMATCH) return error;
  return new KmsException('InvalidSignatureException', `${MISMATCH} ${explanation(request)} ${RULE}`);
}

function explanation({ path, headers }: EdgeRequest): string {
  const stated = headers.get('x-amz-content-sha256');
  if (stated === undefined) {
    return "This call has no 'x-amz-content-sha256': a gRPC call must state the SHA-256 of its message there, in lower-case hex.";
  }
  if (!/^[0-9a-f]{64}$/.test(stated)) {
    return `'x-amz-content-sha256' must be the SHA-256 of the message in lower-case hex, not '${stated}'.`;
  }
  return `It was calculated for 'POST ${path}' with host '${headers.get('host')}' and payload hash '${stated}'.`;
}
