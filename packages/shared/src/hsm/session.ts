import { createHash } from 'node:crypto';
import { z } from 'zod';
import { signatureLength } from '../domain/signature.ts';
import { encapsulatedLength } from '../domain/encapsulation.ts';
import { domainName, encapsulationKey, entityId, sha256Hash } from '../domain/state.ts';
import { bytes, defineFormat } from '../encoding/canonical.ts';

/**
 * The messages of the authenticated session between a service host and the HSMs of a domain (docs/formats.md, "Host
 * session"). After AWS KMS Cryptographic Details, "Internal communication security": ECDHE on P-384, ECDSA both ways,
 * and a session key that travels sealed under a domain key, so that any member can serve the session. The derivation of
 * a stream's keys is in stream-keys.ts.
 */

/** Uncompressed point of P-384 (SEC 1, 2.3.3). */
const point = bytes({ min: 97, max: 97 });
const nonce = bytes({ min: 32, max: 32 });
const sessionId = bytes({ min: 16, max: 16 });
const sessionToken = bytes({ min: 1, max: 4096 });
const protocolVersion = z.int().min(1);
const kemCiphertext = bytes({ min: encapsulatedLength, max: encapsulatedLength });
/** The newest domain token that a member has installed: it speaks as a member of that state. */
const installed = { generation: z.int().min(1), tokenHash: sha256Hash };

/** The maximum life of a session, whoever made it: each side enforces it on the other. */
export const SESSION_MS = 3_600_000;
/** Clocks may differ by this much before the two sides disagree about a session's validity. */
export const CLOCK_SKEW_MS = 60_000;

/** A service host's first message, inside a `SignedMessage` under its P-384 key. */
export const Hello = defineFormat(
  'keyfleet/session/hello/2',
  z.object({
    domain: domainName,
    hostId: entityId,
    ephemeralKey: point,
    /** Raw Ed25519 public key, which opens the session's streams and signs its commands. */
    delegatedKey: bytes({ min: 32, max: 32 }),
    /** Milliseconds since the epoch, by the host's clock. */
    issuedAt: z.int().min(0),
  }),
);
export type Hello = ReturnType<typeof Hello.decode>;

/** A member's answer, inside a `SignedMessage` under its identity key. `helloHash` binds it to one signed hello. */
export const Answer = defineFormat(
  'keyfleet/session/answer/2',
  z.object({
    helloHash: sha256Hash,
    memberId: entityId,
    ephemeralKey: point,
    sessionId,
    /** The session key under `transportKey`: 32 bytes and the tag. */
    sealedSessionKey: bytes({ min: 48, max: 48 }),
    sessionToken,
    /** Milliseconds since the epoch; the token contains its own, sealed copy. */
    expiresAt: z.int().min(0),
    ...installed,
  }),
);
export type Answer = ReturnType<typeof Answer.decode>;

/** A signature by domain/signature.ts over `message`, whose own label identifies it. */
export const SignedMessage = defineFormat(
  'keyfleet/session/signed/1',
  z.object({ message: bytes({ max: 16_384 }), signature: bytes({ min: signatureLength, max: signatureLength }) }),
);

/** The same under a session's delegated key: Ed25519 (RFC 8032). */
export const DelegatedMessage = defineFormat(
  'keyfleet/session/delegated/1',
  z.object({ message: bytes({ max: 16_384 }), signature: bytes({ min: 64, max: 64 }) }),
);

/** A stream's first message from the host, inside a `DelegatedMessage`. Both keys are for this stream only. */
export const StreamOpen = defineFormat(
  'keyfleet/session/stream-open/3',
  z.object({
    sessionToken,
    nonce,
    ephemeralKey: point,
    encapsulationKey,
    /** The protocol versions that the host speaks. */
    versions: z.array(protocolVersion).min(1).max(8),
  }),
);

/** A stream's first message from the member, inside a `SignedMessage`. `openHash` binds it to one delegated message. */
export const StreamAccept = defineFormat(
  'keyfleet/session/stream-accept/3',
  z.object({
    openHash: sha256Hash,
    memberId: entityId,
    nonce,
    ephemeralKey: point,
    kemCiphertext,
    /** The version among `versions` that the stream uses. */
    version: protocolVersion,
    ...installed,
  }),
);
export type StreamAccept = ReturnType<typeof StreamAccept.decode>;

/**
 * What the delegated key signs for commands. It includes their place in one stream, so the signature is worthless
 * anywhere else.
 */
const SignedCommands = defineFormat(
  'keyfleet/session/signed-commands/1',
  z.object({
    sessionId,
    streamId: sha256Hash,
    commands: z.array(z.object({ id: z.int(), code: z.int(), inputHash: sha256Hash })),
  }),
);

interface CommandToSign {
  readonly id: number;
  readonly code: number;
  readonly input: Uint8Array;
}

/** The bytes that the delegated key signs for those commands of a frame that need it: one signature for all. */
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

export function sha256(value: Uint8Array): Buffer {
  return createHash('sha256').update(value).digest();
}
