import { hash, type KeyObject } from 'node:crypto';
import type { MessageType } from '@keyfleet/shared/algorithms';
import type { NobleSignatures } from './noble-thread.ts';

/** RAW: the message. DIGEST: its hash. EXTERNAL_MU: the 64-byte mu of FIPS 204. */
export interface Message {
  readonly messageType: MessageType;
  readonly message: Uint8Array;
}

export interface SignedMessage extends Message {
  readonly signature: Uint8Array;
}

/** Where the signatures of one key are made, off the event loop. */
export interface Threads {
  readonly noble: NobleSignatures;
  /** Has OpenSSL's thread pool do it, when the key's turn comes. */
  readonly pooled: <T>(work: () => Promise<T>) => Promise<T>;
}

/** One signing algorithm. Key and message must fit it; a signature may be anything. */
export interface SignatureScheme {
  /** True if the algorithm signs messages of this type and length. */
  accepts(message: Message): boolean;
  sign(privateKey: KeyObject, message: Message, threads: Threads): Buffer | Promise<Buffer>;
  verify(publicKey: KeyObject, signed: SignedMessage, threads: Threads): boolean | Promise<boolean>;
}

export type DigestName = 'sha256' | 'sha384' | 'sha512';

export const digestLengths: Readonly<Record<DigestName, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/**
 * Hashes a RAW message; returns a DIGEST as it is. So RAW and DIGEST signatures of the same message verify as each
 * other.
 */
export function digestOf(name: DigestName, { messageType, message }: Message): Uint8Array {
  return messageType === 'DIGEST' ? message : hash(name, message, 'buffer');
}

/** True for a RAW message, and for a DIGEST as long as the hash. */
export function isMessageOrDigest(name: DigestName, { messageType, message }: Message): boolean {
  return messageType === 'RAW' || (messageType === 'DIGEST' && message.length === digestLengths[name]);
}
