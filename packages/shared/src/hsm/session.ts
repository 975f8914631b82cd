import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { signatureLength } from '../domain/signature.ts';
import { domainName, entityId } from '../domain/state.ts';
import { bytes, defineFormat } from '../encoding/canonical.ts';

/**
 * The authenticated session between a service host and the HSMs of a domain: its messages and its key schedule
 * (docs/formats.md, "Session"). After AWS KMS Cryptographic Details, "Internal communication security": ECDHE on P-384,
 * ECDSA both ways, and a session key that travels sealed under a domain key, so that any member serves the session.
 */

/** Uncompressed point of P-384 (SEC 1, 2.3.3). */
const point = bytes({ min: 97, max: 97 });
const hash = bytes({ min: 32, max: 32 });
const nonce = bytes({ min: 32, max: 32 });
const sessionId = bytes({ min: 16, max: 16 });
const sessionToken = bytes({ min: 1, max: 4096 });

/** Two clocks may differ by this much before a session's validity is judged differently. */
export const CLOCK_SKEW_MS = 60_000;

/** What a service host says first, inside a `SignedMessage` under its P-384 key. `delegatedKey`: raw Ed25519 public key. */
export const Hello = defineFormat(
  'keyfleet/session/hello/1',
  z.object({ domain: domainName, hostId: entityId, ephemeralKey: point, delegatedKey: bytes({ min: 32, max: 32 }) }),
);

/** What a member answers, inside a `SignedMessage` under its identity key. `helloHash` binds it to one signed hello. */
export const Answer = defineFormat(
  'keyfleet/session/answer/1',
  z.object({
    helloHash: hash,
    memberId: entityId,
    ephemeralKey: point,
    sessionId,
    /** The session key under `transportKey`: 32 bytes and the tag. */
    sealedSessionKey: bytes({ min: 48, max: 48 }),
    sessionToken,
    /** Milliseconds since the epoch; the token holds its own, sealed copy. */
    expiresAt: z.int().min(0),
  }),
);

/** A signature of domain/signature.ts over `message`, whose own label says what it is. */
export const SignedMessage = defineFormat(
  'keyfleet/session/signed/1',
  z.object({ message: bytes({ max: 16_384 }), signature: bytes({ min: signatureLength, max: signatureLength }) }),
);

/** The first message of a stream, from the host. */
export const StreamOpen = defineFormat('keyfleet/session/stream-open/1', z.object({ sessionToken, nonce }));

/** The first message of a stream, from the member. */
export const StreamAccept = defineFormat('keyfleet/session/stream-accept/1', z.object({ memberId: entityId, nonce }));

const StreamTranscript = defineFormat('keyfleet/session/stream/1', z.object({ open: bytes(), accept: bytes() }));

/** What the delegated Ed25519 key signs: commands by their place in one stream, so that it is worth nothing anywhere else. */
const SignedCommands = defineFormat(
  'keyfleet/session/signed-commands/1',
  z.object({
    sessionId,
    streamId: hash,
    commands: z.array(z.object({ id: z.int(), code: z.int(), inputHash: hash })),
  }),
);

interface CommandToSign {
  readonly id: number;
  readonly code: number;
  readonly input: Uint8Array;
}

/** The bytes that the delegated key signs for the commands of one frame that need it: one signature for all of them. */
export function signedCommands(
  stream: { readonly sessionId: Uint8Array; readonly streamId: Uint8Array },
  commands: readonly CommandToSign[],
): Buffer {
  const { sessionId: session, streamId } = stream;
  return SignedCommands.encode({
    sessionId: session,
    streamId,
    commands: commands.map(({ id, code, input }) => ({ id, code, inputHash: sha256(input) })),
  });
}

/** AES-256 key under which the session key travels in the answer. Bound to the hello and to who answers. */
export function transportKey(sharedSecret: Uint8Array, helloHash: Uint8Array, memberId: string): KeyObject {
  return derive(sharedSecret, helloHash, `keyfleet/session/transport-key/1 ${memberId}`);
}

export interface StreamKeys {
  /** SHA-256 of both opening messages: names the stream in signatures. */
  readonly streamId: Buffer;
  readonly hostToMember: KeyObject;
  readonly memberToHost: KeyObject;
}

/** The keys of one stream. Both nonces, the session token and the member's id are in the salt: no two streams share a key. */
export function streamKeys(sessionKey: KeyObject, open: Uint8Array, accept: Uint8Array): StreamKeys {
  const streamId = sha256(StreamTranscript.encode({ open, accept }));
  return {
    streamId,
    hostToMember: derive(sessionKey, streamId, 'keyfleet/session/host-to-member/1'),
    memberToHost: derive(sessionKey, streamId, 'keyfleet/session/member-to-host/1'),
  };
}

export function sha256(value: Uint8Array): Buffer {
  return createHash('sha256').update(value).digest();
}

/** HKDF-SHA-256 (RFC 5869) to one AES-256 key. */
function derive(secret: KeyObject | Uint8Array, salt: Uint8Array, info: string): KeyObject {
  const key = Buffer.from(hkdfSync('sha256', secret, salt, info, 32));
  try {
    return createSecretKey(key);
  } finally {
    key.fill(0);
  }
}
