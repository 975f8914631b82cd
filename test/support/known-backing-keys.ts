import { createHash } from 'node:crypto';

/**
 * The backing key number `count` (from 0) that the known-random worker `memberId` makes. Not a secret: anyone can
 * derive it.
 */
export function knownBackingKey(memberId: string, count: number, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(`known backing key ${memberId} ${count}`).digest();
}
