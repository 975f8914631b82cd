import { randomInt } from 'node:crypto';
import type { IamKind } from './iam-records.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** IAM User Guide, "Unique identifiers". */
const prefixes: Record<IamKind, string> = { user: 'AIDA', role: 'AROA', group: 'AGPA', policy: 'ANPA' };

/** 21 characters, as in AWS. */
export function newIamId(kind: IamKind): string {
  return `${prefixes[kind]}${base32(17)}`;
}

/** 20 characters. `AKIA`: a user's; `ASIA`: temporary. */
export function newAccessKeyId(prefix: 'AKIA' | 'ASIA'): string {
  return `${prefix}${base32(16)}`;
}

function base32(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
