import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { bytes, defineFormat } from '../encoding/canonical.ts';
import { sha256 } from './session.ts';

/** The key schedule of sessions (docs/formats.md, "Host session"). */

const StreamTranscript = defineFormat('keyfleet/session/stream/2', z.object({ open: bytes(), accept: bytes() }));

const StreamSecret = defineFormat(
  'keyfleet/session/stream-secret/1',
  z.object({
    sessionKey: bytes({ min: 32, max: 32 }),
    agreed: bytes({ min: 48, max: 48 }),
    encapsulated: bytes({ min: 32, max: 32 }),
  }),
);

/** What both ends of a stream know and nobody else does. */
export interface StreamSecrets {
  readonly sessionKey: KeyObject;
  /** From the two ephemeral keys on P-384: the x-coordinate. */
  readonly agreed: Buffer;
  /** From ML-KEM-1024. */
  readonly encapsulated: Buffer;
}

export interface StreamKeys {
  /** SHA-256 of both opening messages; identifies the stream in signatures. */
  readonly streamId: Buffer;
  readonly hostToMember: KeyObject;
  readonly memberToHost: KeyObject;
}

/**
 * Derives a stream's keys from both opening messages and three secrets. An attacker who learns the session key, and
 * with it every key that outlives the stream, still lacks two secrets that were only ever in memory. Wipes those two.
 */
export function streamKeys(secrets: StreamSecrets, open: Uint8Array, accept: Uint8Array): StreamKeys {
  const streamId = sha256(StreamTranscript.encode({ open, accept }));
  const { agreed, encapsulated } = secrets;
  const sessionKey = secrets.sessionKey.export();
  const secret = StreamSecret.encode({ sessionKey, agreed, encapsulated });
  try {
    return {
      streamId,
      hostToMember: derive(secret, streamId, 'keyfleet/session/host-to-member/2'),
      memberToHost: derive(secret, streamId, 'keyfleet/session/member-to-host/2'),
    };
  } finally {
    for (const bytesOfSecret of [secret, sessionKey, agreed, encapsulated]) bytesOfSecret.fill(0);
  }
}

/**
 * The AES-256 key under which the session key travels in the answer. Bound to the hello and to the answering member.
 * Wipes `agreed`.
 */
export function transportKey(agreed: Buffer, helloHash: Uint8Array, memberId: string): KeyObject {
  try {
    return derive(agreed, helloHash, `keyfleet/session/transport-key/1 ${memberId}`);
  } finally {
    agreed.fill(0);
  }
}

/** HKDF-SHA-256 (RFC 5869) to one AES-256 key. */
function derive(secret: Uint8Array, salt: Uint8Array, info: string): KeyObject {
  const key = Buffer.from(hkdfSync('sha256', secret, salt, info, 32));
  try {
    return createSecretKey(key);
  } finally {
    key.fill(0);
  }
}
