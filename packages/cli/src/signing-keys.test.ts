import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHostKey, createOperatorKey, loadSigningKey, publicKeyOf } from './signing-keys.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keyfleet-keys-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const PASSPHRASE = 'correct horse battery';
const never = (): Promise<string> => Promise.reject(new Error('no passphrase is needed'));

test('an operator key opens with its passphrase and with no other', async () => {
  const path = join(dir, 'anna.pem');
  const publicKey = createOperatorKey(path, PASSPHRASE);
  expect(publicKeyOf(await loadSigningKey(path, async () => PASSPHRASE))).toEqual(publicKey);
  await expect(loadSigningKey(path, async () => 'another passphrase')).rejects.toThrow('wrong passphrase');
});

test('key files are for their owner only, and are never overwritten', () => {
  const path = join(dir, 'host.pem');
  createHostKey(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(() => createHostKey(path)).toThrow('already there');
});

test('the key of a service opens without a passphrase', async () => {
  const path = join(dir, 'host.pem');
  const publicKey = createHostKey(path);
  expect(publicKeyOf(await loadSigningKey(path, never))).toEqual(publicKey);
});

test('a key of another curve and a file that is no key are refused', async () => {
  const path = join(dir, 'x.pem');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await expect(loadSigningKey(path, never)).rejects.toThrow('not a P-384 key');
  writeFileSync(path, 'hello');
  await expect(loadSigningKey(path, never)).rejects.toThrow('not a PEM private key');
  await expect(loadSigningKey(join(dir, 'nowhere'), never)).rejects.toThrow('ENOENT');
});
