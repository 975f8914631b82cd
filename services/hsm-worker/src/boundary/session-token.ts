import { createSecretKey, type KeyObject } from 'node:crypto';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import type { Keyring } from './domain/keyring.ts';
import { openToken, type Sealer, sealToken } from './tokens/sealed-token.ts';

/** The session key sealed under a domain key: with it any member can serve the session, and none keeps a table. */
const SessionToken = defineFormat(
  'keyfleet/session/token/2',
  z.strictObject({
    domain: z.string(),
    domainKeyId: z.string(),
    sessionId: bytes({ min: 16, max: 16 }),
    /**
     * The host's signed hello in full: no member, and nobody who has a domain key, can open a session in a host's name.
     */
    signedHello: bytes({ max: 2048 }),
    /** Milliseconds since the epoch. */
    notBefore: z.int(),
    expiresAt: z.int(),
  }),
);
type Header = ReturnType<typeof SessionToken.decode>;

export type NewSession = Omit<Header, 'domain' | 'domainKeyId'> & { readonly sessionKey: KeyObject };
export type SessionGrant = NewSession & Pick<Header, 'domainKeyId'>;

export function sealSessionToken({ sessionKey, ...header }: NewSession, sealer: Sealer): Buffer {
  const secret = sessionKey.export();
  try {
    return sealToken(SessionToken, { header, secret }, sealer);
  } finally {
    secret.fill(0);
  }
}

/** Refuses with `unknown-domain-key` or `cannot-open`. Does not check validity or the hello: the caller does. */
export function openSessionToken(token: Uint8Array, keyring: Keyring): SessionGrant {
  const { header, secret } = openToken(SessionToken, token, keyring);
  try {
    return { ...header, sessionKey: createSecretKey(secret) };
  } finally {
    secret.fill(0);
  }
}
