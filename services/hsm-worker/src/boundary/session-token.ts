import { createSecretKey, type KeyObject } from 'node:crypto';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import type { Keyring } from './domain/keyring.ts';
import { openToken, type Sealer, sealToken } from './tokens/sealed-token.ts';

const hash = bytes({ min: 32, max: 32 });

/** The session key, sealed under a domain key: with it any member serves the session, and none keeps a table. */
const SessionToken = defineFormat(
  'keyfleet/session/token/1',
  z.strictObject({
    domain: z.string(),
    domainKeyId: z.string(),
    sessionId: bytes({ min: 16, max: 16 }),
    hostId: z.string(),
    /** SHA-256 of the signing key that the host proved: a host whose key is replaced loses its sessions. */
    hostKeyHash: hash,
    /** Raw Ed25519 public key. */
    delegatedKey: hash,
    /** Milliseconds since the epoch. */
    notBefore: z.int(),
    expiresAt: z.int(),
  }),
);
type Header = ReturnType<typeof SessionToken.decode>;

export type SessionGrant = Omit<Header, 'domain' | 'domainKeyId'> & { readonly sessionKey: KeyObject };

export function sealSessionToken({ sessionKey, ...header }: SessionGrant, sealer: Sealer): Buffer {
  const secret = sessionKey.export();
  try {
    return sealToken(SessionToken, { header, secret }, sealer);
  } finally {
    secret.fill(0);
  }
}

/** Refuses with `unknown-domain-key` or `cannot-open`. Judges no validity: the clock is the caller's. */
export function openSessionToken(token: Uint8Array, keyring: Keyring): SessionGrant {
  const { header, secret } = openToken(SessionToken, token, keyring);
  try {
    return { ...header, sessionKey: createSecretKey(secret) };
  } finally {
    secret.fill(0);
  }
}
