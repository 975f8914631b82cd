import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { createHostKey, createOperatorKey, loadSigningKey, replaceFile } from './signing-keys.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keyfleet-keys-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Each opening and sealing takes half a second on an idle core, on purpose. */
const scrypt = { timeout: 60_000 };
const PASSPHRASE = 'correct horse battery';
const never = (): Promise<string> => Promise.reject(new Error('no passphrase is needed'));

test('an operator key opens with its passphrase and with no other', scrypt, async () => {
  const path = join(dir, 'anna.pem');
  const publicKey = createOperatorKey(path, PASSPHRASE);
  const { key, protection } = await loadSigningKey(path, async () => PASSPHRASE);
  expect([encodedPublicKey(key), protection]).toEqual([publicKey, 'scrypt']);
  await expect(loadSigningKey(path, async () => 'another passphrase')).rejects.toThrow('wrong passphrase');
});

test('an operator key that was altered anywhere does not open', scrypt, async () => {
  const path = join(dir, 'anna.pem');
  createOperatorKey(path, PASSPHRASE);
  const text = readFileSync(path, 'utf8');
  const lines = text.trim().split('\n');
  const flipped = (line: number): string =>
    lines
      .with(
        line,
        lines[line]!.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A')),
      )
      .join('\n');
  const changed = [flipped(1), flipped(4), flipped(lines.length - 3), lines.toSpliced(3, 1).join('\n'), lines[0]!];
  for (const [i, content] of changed.entries()) {
    writeFileSync(join(dir, `${i}`), content);
    const opening = loadSigningKey(join(dir, `${i}`), async () => PASSPHRASE);
    await expect(opening).rejects.toThrow('wrong passphrase, or a damaged file');
  }
});

test('an older operator key, under PBES2, still opens and is recognized', async () => {
  const path = join(dir, 'anna.pem');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const pbes2 = { cipher: 'aes-256-cbc', passphrase: 'short' };
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem', ...pbes2 }));
  const { key, protection } = await loadSigningKey(path, async () => 'short');
  expect([encodedPublicKey(key), protection]).toEqual([encodedPublicKey(publicKey), 'pbes2']);
  await expect(loadSigningKey(path, async () => 'other')).rejects.toThrow('wrong passphrase');
});

test('a replaced file has the new content and is for its owner only', () => {
  const path = join(dir, 'anna.pem');
  writeFileSync(path, 'old', { mode: 0o644 });
  replaceFile(path, 'new');
  expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['new', 0o600]);
});

test('key files are for their owner only, and are never overwritten', () => {
  const path = join(dir, 'host.pem');
  createHostKey(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(() => createHostKey(path)).toThrow('the file already exists');
});

test('the key of a service opens without a passphrase', async () => {
  const path = join(dir, 'host.pem');
  const publicKey = createHostKey(path);
  const { key, protection } = await loadSigningKey(path, never);
  expect([encodedPublicKey(key), protection]).toEqual([publicKey, 'none']);
});

test('a key of another curve and a file that is not a key are refused', async () => {
  const path = join(dir, 'x.pem');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await expect(loadSigningKey(path, never)).rejects.toThrow('not a P-384 key');
  writeFileSync(path, 'hello');
  await expect(loadSigningKey(path, never)).rejects.toThrow('not a private key');
  await expect(loadSigningKey(join(dir, 'nowhere'), never)).rejects.toThrow('ENOENT');
});
