import { createCipheriv, createDecipheriv, hkdfSync, type KeyObject } from 'node:crypto';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import { FleetKey, type FleetKeyDeps } from '../store/fleet-key.ts';

const SESSION_TOKEN_KEY = { name: 'session-token-key', info: 'keyfleet/session-token-key/1' } as const;
const KEY_LENGTH = 32;
const IV_LENGTH = 12;
const SALT_LENGTH = 32;
const TAG_LENGTH = 16;

/** What temporary credentials are, whole: no frontend keeps anything of them (docs/formats.md, "Session token"). Times: milliseconds since the epoch. */
const SessionContent = defineFormat(
  'keyfleet/session-content/1',
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
  'keyfleet/session-token/1',
  z.object({ salt: bytes({ min: SALT_LENGTH, max: SALT_LENGTH }), sealed: bytes({ min: TAG_LENGTH }) }),
);

/** Longer ones are none of ours: a header must have room for it. */
const MAX_TOKEN_LENGTH = 12_288;

/** `salt`: 32 random bytes, fresh for each token; key and IV are derived from it, and seal nothing else. Base64. */
export function sealSession(key: KeyObject, content: SessionContent, salt: Uint8Array): string {
  const [sealingKey, iv] = derive(key, salt);
  const cipher = createCipheriv('aes-256-gcm', sealingKey, iv);
  const sealed = Buffer.concat([cipher.update(SessionContent.encode(content)), cipher.final(), cipher.getAuthTag()]);
  return SessionToken.encode({ salt, sealed }).toString('base64');
}

/** Undefined for what is no token of this key, whatever is wrong with it. */
export function openSession(key: KeyObject, token: string): SessionContent | undefined {
  const given = Buffer.from(token, 'base64');
  // Base64 of one text only: a token has one spelling.
  if (token.length > MAX_TOKEN_LENGTH || given.toString('base64') !== token) return undefined;
  try {
    const { salt, sealed } = SessionToken.decode(given);
    const [sealingKey, iv] = derive(key, salt);
    const decipher = createDecipheriv('aes-256-gcm', sealingKey, iv, { authTagLength: TAG_LENGTH });
    decipher.setAuthTag(sealed.subarray(-TAG_LENGTH));
    const content = decipher.update(sealed.subarray(0, -TAG_LENGTH));
    decipher.final();
    return SessionContent.decode(content);
  } catch (error) {
    if (error instanceof FormatError || isWrongTag(error)) return undefined;
    throw error;
  }
}

function derive(key: KeyObject, salt: Uint8Array): [Buffer, Buffer] {
  const derived = Buffer.from(hkdfSync('sha256', key, salt, 'keyfleet/session-token/1', KEY_LENGTH + IV_LENGTH));
  return [derived.subarray(0, KEY_LENGTH), derived.subarray(KEY_LENGTH)];
}

function isWrongTag(error: unknown): boolean {
  return error instanceof Error && /unable to authenticate data/.test(error.message);
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
