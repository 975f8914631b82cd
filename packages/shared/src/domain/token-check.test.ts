import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DomainError } from './domain-error.ts';
import { encodedPublicKey, signBytes } from './signature.ts';
import type { Member } from './state.ts';
import { assertChecked, assertHoldsNoOther, HeldTokenError, signCheck, signHeld } from './token-check.ts';

const hash = Buffer.alloc(32, 1);
const place = { generation: 5, hash, previousHash: Buffer.alloc(32, 2) };
const keyOf = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
const memberOf = (memberId: string, signingKey: Buffer): Member => ({ memberId, signingKey, agreementKey: signingKey });

const key = keyOf();
const members = [memberOf('hsm-2', encodedPublicKey(key)), memberOf('hsm-3', encodedPublicKey(keyOf()))];
const checkOf = (change: Partial<Parameters<typeof signCheck>[0]> = {}) =>
  signCheck({ domain: 'test', memberId: 'hsm-2', tokenHash: hash, ...change }, (message) => signBytes(key, message));
const token = { domain: 'test', ...place };
const verifying = (signed: Uint8Array, by = members) => assertChecked(signed, by, token);
const objecting = (signed: Uint8Array, by = members) => assertHoldsNoOther(signed, by, token);

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

const heldOf = (change: Partial<Parameters<typeof signHeld>[0]> = {}) =>
  signHeld({ domain: 'test', memberId: 'hsm-2', generation: 5, tokenHash: Buffer.alloc(32, 9), ...change }, (message) =>
    signBytes(key, message),
  );

test.each([
  ['a newer token', { generation: 6, tokenHash: hash }],
  ['another of its generation', {}],
  ['another of the one before', { generation: 4 }],
])('a member’s word that it holds %s counts against a token', (_what, change) => {
  expect(() => objecting(heldOf(change))).toThrow(HeldTokenError);
  expect(() => verifying(heldOf(change))).toThrow('it says that it holds another token');
});

test.each([
  ['of another domain', { domain: 'other' }, members],
  ['of another member', { memberId: 'hsm-3' }, members],
  ['of somebody else', { memberId: 'hsm-9' }, members],
  ['of who has no say', {}, members.slice(1)],
  ['of this token', { tokenHash: hash }, members],
  ['of the token before', { generation: 4, tokenHash: place.previousHash }, members],
  ['of an older token', { generation: 3 }, members],
])('the word %s does not', (_what, change, by) => {
  objecting(heldOf(change), by);
});

test('a member’s word that it has opened a token is none against it', () => {
  objecting(checkOf());
});

test('a held token with any byte changed counts for nothing', () => {
  const signed = heldOf();
  for (let at = 0; at < signed.length; at++) {
    const changed = Buffer.from(signed);
    changed[at]! ^= 1;
    expect(() => objecting(changed)).not.toThrow(HeldTokenError);
  }
});

function golden(name: string) {
  const file = join(import.meta.dirname, `../../../../test/vectors/kms/${name}.json`);
  type Vector = Record<'domain' | 'memberId' | 'signingKey' | 'tokenHash' | 'signed', string>;
  const vector = JSON.parse(readFileSync(file, 'utf8')) as Vector;
  const member = memberOf(vector.memberId, Buffer.from(vector.signingKey, 'hex'));
  return { ...vector, member, signed: Buffer.from(vector.signed, 'hex'), hash: Buffer.from(vector.tokenHash, 'hex') };
}

test('a signature once made is valid for ever (golden vectors)', () => {
  const check = golden('domain-token-check');
  assertChecked(check.signed, [check.member], { ...place, domain: check.domain, hash: check.hash });
  const held = golden('domain-token-held');
  const refused = () => assertHoldsNoOther(held.signed, [held.member], { ...place, domain: held.domain });
  expect(refused).toThrow('hsm-2 signs that it holds another domain token 9');
});
