import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DomainError } from './domain-error.ts';
import { encodedPublicKey, signBytes } from './signature.ts';
import type { Member } from './state.ts';
import { signCheck, verifyCheck } from './token-check.ts';

const hash = Buffer.alloc(32, 1);
const keyOf = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
const memberOf = (memberId: string, signingKey: Buffer): Member => ({ memberId, signingKey, agreementKey: signingKey });

const key = keyOf();
const members = [memberOf('hsm-2', encodedPublicKey(key)), memberOf('hsm-3', encodedPublicKey(keyOf()))];
const checkOf = (change: Partial<Parameters<typeof signCheck>[0]> = {}) =>
  signCheck({ domain: 'test', memberId: 'hsm-2', tokenHash: hash, ...change }, (message) => signBytes(key, message));
const verifying = (signed: Uint8Array, by = members) => verifyCheck(signed, by, { domain: 'test', hash });

test('a member’s word counts for the token and the member that it names, and for nothing else', () => {
  verifying(checkOf());
  for (const change of [
    { domain: 'other' },
    { memberId: 'hsm-3' },
    { memberId: 'hsm-9' },
    { tokenHash: Buffer.alloc(32) },
  ])
    expect(() => verifying(checkOf(change))).toThrow(DomainError);
  expect(() => verifying(checkOf(), members.slice(1))).toThrow(DomainError);
  expect(() => verifying(Buffer.alloc(0))).toThrow(DomainError);
});

test('a token check with any byte changed counts for nothing', () => {
  const signed = checkOf();
  for (let at = 0; at < signed.length; at++) {
    const changed = Buffer.from(signed);
    changed[at]! ^= 1;
    expect(() => verifying(changed)).toThrow(DomainError);
  }
});

test('a signature once made is valid for ever (golden vector)', () => {
  const file = join(import.meta.dirname, '../../../../test/vectors/kms/domain-token-check.json');
  const vector = JSON.parse(readFileSync(file, 'utf8')) as Record<
    'domain' | 'memberId' | 'signingKey' | 'tokenHash' | 'signed',
    string
  >;
  const member = memberOf(vector.memberId, Buffer.from(vector.signingKey, 'hex'));
  const token = { domain: vector.domain, hash: Buffer.from(vector.tokenHash, 'hex') };
  verifyCheck(Buffer.from(vector.signed, 'hex'), [member], token);
});
