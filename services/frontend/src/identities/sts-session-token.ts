import type { KeyObject } from 'node:crypto';
import { CannotOpenError, open, seal, type SealingKey, tagLength } from '@keyfleet/shared/encoding/aead';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { domainKeyId } from '@keyfleet/shared/domain/state';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import type { Fleet } from '../store/fleet.ts';
import { type FleetKey, type FleetKeys, sealingKeyOf } from '../store/fleet-keys.ts';

/** This key can make credentials for anybody, so a key from before a removal opens nothing. */
const SESSION_TOKEN_KEY = {
  name: 'session-token-key',
  info: 'keyfleet/sts-session-token-key/1',
  outlivesRemovals: false,
} as const;
const SEALING_INFO = 'keyfleet/sts-session-sealing-key/1';
const SALT_LENGTH = 32;

/**
 * Complete temporary credentials; no frontend stores any part of them (docs/formats.md, "STS session token"). Times:
 * milliseconds since 1970.
 */
const SessionContent = defineFormat(
  'keyfleet/sts-session-content/1',
  z.object({
    accessKeyId: z.string(),
    secretAccessKey: z.string(),
    accountId: z.string(),
    kind: z.enum(['role', 'user']),
    /** The role's or user's name at that time, and its unique id. */
    name: z.string(),
    id: z.string(),
    /** Only for a role. */
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
  'keyfleet/sts-session-token/2',
  z.object({
    domainKeyId,
    salt: bytes({ min: SALT_LENGTH, max: SALT_LENGTH }),
    sealed: bytes({ min: tagLength }),
  }),
);

/** The token must fit into a header. */
const MAX_TOKEN_LENGTH = 12_288;

/** Base64. `salt`: 32 random bytes, fresh for each token, so that the derived key and IV seal only this token. */
export function sealSession({ domainKeyId: id, key }: FleetKey, content: SessionContent, salt: Uint8Array): string {
  const sealed = Buffer.concat(seal(sealingKey(key, salt, id), SessionContent.encode(content)));
  return SessionToken.encode({ domainKeyId: id, salt, sealed }).toString('base64');
}

/** A parsed token that has not been opened yet. */
interface GivenToken {
  /** The domain key that it claims; with any other one's key it does not open. */
  readonly domainKeyId: string;
  /** Undefined for anything that is not a token of this key, whatever is wrong with it. */
  open(key: KeyObject): SessionContent | undefined;
}

/** Undefined for anything that does not have the form of a token. */
export function readSession(token: string): GivenToken | undefined {
  const given = Buffer.from(token, 'base64');
  // A token has one spelling: other base64 for the same bytes is refused.
  if (token.length > MAX_TOKEN_LENGTH || given.toString('base64') !== token) return undefined;
  return unlessMalformed(() => {
    const { domainKeyId: id, salt, sealed } = SessionToken.decode(given);
    const [ciphertext, tag] = [sealed.subarray(0, -tagLength), sealed.subarray(-tagLength)];
    const opened = (key: KeyObject) => SessionContent.decode(open(sealingKey(key, salt, id), { ciphertext, tag }));
    return { domainKeyId: id, open: (key) => unlessMalformed(() => opened(key)) };
  });
}

function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError || error instanceof CannotOpenError) return undefined;
    throw error;
  }
}

function sealingKey(key: KeyObject, salt: Uint8Array, id: string): SealingKey {
  return { ...sealingKeyOf(key, salt, SEALING_INFO), associatedData: Buffer.from(id) };
}

export interface OpenedSession {
  readonly content: SessionContent;
  /** Checked on each use of the session: false once somebody has left who may have made it. */
  readonly isAccepted: () => boolean;
}

/** Seals and opens session tokens under the fleet's keys. */
export class SessionTokens {
  readonly #keys: FleetKeys;
  readonly #random: (length: number) => Uint8Array;

  constructor(fleet: Fleet, random: (length: number) => Uint8Array) {
    this.#keys = fleet.keys(SESSION_TOKEN_KEY);
    this.#random = random;
  }

  async seal(content: SessionContent, deadline: number): Promise<string> {
    return sealSession(await this.#keys.newest(deadline), content, this.#random(SALT_LENGTH));
  }

  /** Undefined for a token that nobody was given or that is no longer accepted. */
  async open(token: string, deadline: number): Promise<OpenedSession | undefined> {
    const given = readSession(token);
    const key = given && (await this.#keys.find(given.domainKeyId, deadline));
    const content = key && given.open(key);
    return content && { content, isAccepted: () => this.#keys.accepts(given.domainKeyId) };
  }
}
