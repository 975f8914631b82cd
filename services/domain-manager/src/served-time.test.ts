import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { servedMsOf } from './served-time.ts';

const file = join(import.meta.dirname, '../../../test/vectors/kms/token-served.json');
const vector = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly domain: string;
  readonly schedulerKey: string;
  readonly tokenHash: string;
  readonly servedMs: number;
  readonly signed: string;
};
const signed = Buffer.from(vector.signed, 'hex');
const token = { domain: vector.domain, tokenHash: Buffer.from(vector.tokenHash, 'hex') };
const privateKey = createPrivateKey({ key: Buffer.from(vector.schedulerKey, 'hex'), format: 'der', type: 'pkcs8' });
const scheduler = { operatorId: 'scheduler-1', privateKey };

test('a signature once made is valid for ever (golden vector)', () => {
  expect(servedMsOf(signed, token, scheduler)).toBe(vector.servedMs);
});

test('served time counts for nothing by another scheduler, of another token or domain, or with any byte changed or cut', () => {
  const other = { ...scheduler, privateKey: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey };
  expect(servedMsOf(signed, token, other)).toBe(0);
  expect(servedMsOf(signed, { ...token, tokenHash: Buffer.alloc(32) }, scheduler)).toBe(0);
  expect(servedMsOf(signed, { ...token, domain: 'other' }, scheduler)).toBe(0);
  for (let at = 0; at < signed.length; at += 3) {
    const changed = Buffer.from(signed);
    changed[at]! ^= 1;
    expect(servedMsOf(changed, token, scheduler)).toBe(0);
    expect(servedMsOf(signed.subarray(0, at), token, scheduler)).toBe(0);
  }
});
