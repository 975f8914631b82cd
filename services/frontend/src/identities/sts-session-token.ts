import { hkdfSync, type KeyObject } from 'node:crypto';
import { CannotOpenError, ivLength, open, seal, type SealingKey, tagLength } from '@keyfleet/shared/encoding/aead';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import { FleetKey, type FleetKeyDeps } from '../store/fleet-key.ts';

const SESSION_TOKEN_KEY = { name: 'session-token-key', info: 'keyfleet/sts-session-token-key/1' } as const;
const SEALING_INFO = 'keyfleet/sts-session-sealing-key/1';
const KEY_LENGTH = 32;
const SALT_LENGTH = 32;

/**
 * Temporary credentials, whole: no frontend keeps anything of them (docs/formats.md, "STS session token"). Times:
 * milliseconds since 1970.
 */
const SessionContent = defineFormat(
  'keyfleet/sts-session-content/1',
  z.object({
    accessKeyId: z.string(),
    secretAccessKey: z.string(),
    accountId: z.string(),
    kind: z.enum(['role', 'user']),
    /** Of the role or user, as it was named then, and its unique id. */
    name: z.string(),
    id: z.string(),
    /** Of a role only. */
    sessionName: z.string().optional(),
    issuedAt: z.int(),
    expiresAt: z.int(),
    sourceIdentity: z.string().optional(),
    federatedProvider: z.string().optional(),
    policies: z.array(z.string()),
    tags: z.array(z.object({ key: z.string(), value: z.string() })),
    transitiveTagKeys: z.array(z.string()),
  }),
);
export type SessionContent = ReturnType<typeof SessionContent.decode>;

const SessionToken = defineFormat(
  'keyfleet/sts-session-token/1',
  z.object({ salt: bytes({ min: SALT_LENGTH, max: SALT_LENGTH }), sealed: bytes({ min: tagLength }) }),
);

/** A header must have room for it. */
const MAX_TOKEN_LENGTH = 12_288;

/**
 * Base64. `salt`: 32 random bytes, fresh for each token, so that the key and IV derived from it seal this one token
 * only.
 */
export function sealSession(key: KeyObject, content: SessionContent, salt: Uint8Array): string {
  const sealed = Buffer.concat(seal(sealingKey(key, salt), SessionContent.encode(content)));
  return SessionToken.encode({ salt, sealed }).toString('base64');
}

/** Undefined for what is no token of this key, whatever is wrong with it. */
export function openSession(key: KeyObject, token: string): SessionContent | undefined {
  const given = Buffer.from(token, 'base64');
  // A token has one spelling: other base64 of the same bytes is refused.
  if (token.length > MAX_TOKEN_LENGTH || given.toString('base64') !== token) return undefined;
  try {
    const { salt, sealed } = SessionToken.decode(given);
    const [ciphertext, tag] = [sealed.subarray(0, -tagLength), sealed.subarray(-tagLength)];
    return SessionContent.decode(open(sealingKey(key, salt), { ciphertext, tag }));
  } catch (error) {
    if (error instanceof FormatError || error instanceof CannotOpenError) return undefined;
    throw error;
  }
}

function sealingKey(key: KeyObject, salt: Uint8Array): SealingKey {
  const derived = Buffer.from(hkdfSync('sha256', key, salt, SEALING_INFO, KEY_LENGTH + ivLength));
  return { key: derived.subarray(0, KEY_LENGTH), iv: derived.subarray(KEY_LENGTH) };
}

/** Seals and opens session tokens under the fleet's key. */
export class SessionTokens {
  readonly #key: FleetKey;
  readonly #random: (length: number) => Uint8Array;

  constructor(deps: FleetKeyDeps & { readonly random: (length: number) => Uint8Array }) {
    this.#key = new FleetKey(SESSION_TOKEN_KEY, deps);
    this.#random = deps.random;
  }

  async seal(content: SessionContent, deadline: number): Promise<string> {
    return sealSession(await this.#key.load(deadline), content, this.#random(SALT_LENGTH));
  }

  open(token: string, deadline: number): SessionContent | undefined | Promise<SessionContent | undefined> {
    const key = this.#key.load(deadline);
    return key instanceof Promise ? key.then((loaded) => openSession(loaded, token)) : openSession(key, token);
  }
}
