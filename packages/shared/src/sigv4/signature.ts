import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
export const TERMINATOR = 'aws4_request';

/** What a signing key is good for. */
export interface CredentialScope {
  /** YYYYMMDD, UTC. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** `amzDate` is the request's time in ISO 8601 basic format, e.g. 20150830T123600Z. */
export function stringToSign(canonicalRequest: string, amzDate: string, scope: CredentialScope): string {
  // latin1: one character of the canonical request is one byte of what was sent.
  const digest = hash('sha256', Buffer.from(canonicalRequest, 'latin1'), 'hex');
  return `${ALGORITHM}\n${amzDate}\n${scope.date}/${scope.region}/${scope.service}/${TERMINATOR}\n${digest}`;
}

/** The secret access key in the form in which signing keys are derived from it. */
export function newSigningSecret(secretAccessKey: string | Uint8Array): KeyObject {
  const secret = Buffer.concat([Buffer.from('AWS4'), Buffer.from(secretAccessKey as Uint8Array)]);
  try {
    return createSecretKey(secret);
  } finally {
    secret.fill(0);
  }
}

/** Derived once per credential and scope and kept as a KeyObject: HMAC with raw key bytes costs eight times as much. */
export function deriveSigningKey(secret: KeyObject, scope: CredentialScope): KeyObject {
  let key = secret;
  for (const step of [scope.date, scope.region, scope.service, TERMINATOR]) {
    key = createSecretKey(createHmac('sha256', key).update(step).digest());
  }
  return key;
}

/** Lower-case hex, as it stands in the Authorization header. */
export function signatureOf(signingKey: KeyObject, text: string): string {
  return createHmac('sha256', signingKey).update(text).digest('hex');
}

/** Constant time for signatures of the right length. Compares the text, so that a signature has one spelling only. */
export function isSameSignature(expected: string, given: string): boolean {
  return (
    given.length === expected.length && timingSafeEqual(Buffer.from(expected, 'latin1'), Buffer.from(given, 'latin1'))
  );
}

/** Milliseconds since the epoch as ISO 8601 basic format, e.g. 20150830T123600Z. */
export function amzDateOf(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}
