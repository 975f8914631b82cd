import { hash } from 'node:crypto';
import type { Message } from './signature.ts';

export type DigestName = 'sha256' | 'sha384' | 'sha512';

export const digestLengths: Readonly<Record<DigestName, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/** The hash of a RAW message; a DIGEST is one already. So a RAW and a DIGEST signature of the same message verify as each other. */
export function digestOf(name: DigestName, { messageType, message }: Message): Uint8Array {
  return messageType === 'DIGEST' ? message : hash(name, message, 'buffer');
}

/** True for a RAW message, and for a DIGEST as long as the hash. */
export function isMessageOrDigest(name: DigestName, { messageType, message }: Message): boolean {
  return messageType === 'RAW' || (messageType === 'DIGEST' && message.length === digestLengths[name]);
}
