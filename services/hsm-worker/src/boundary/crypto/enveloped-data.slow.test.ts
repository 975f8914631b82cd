import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestEnclave } from '@keyfleet/test-support/attestation';
import { expect, test } from 'vitest';
import { envelopedFor, recipientKeyOf } from './enveloped-data.ts';

const random = { random: randomBytes, nonce: randomBytes };
const enclave = new TestEnclave();

function openedByOpenSsl(cms: Buffer, privateKeyPem: string): Buffer {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-'));
  const keyFile = join(directory.path, 'key.pem');
  writeFileSync(keyFile, privateKeyPem, { mode: 0o600 });
  return execFileSync('openssl', ['cms', '-decrypt', '-inform', 'DER', '-inkey', keyFile, '-binary'], { input: cms });
}

test.each([
  [2048, [1, 16, 4096]],
  [3072, [32]],
  [4096, [32]],
])('OpenSSL opens what is made for an RSA key of %i bits', (bits, lengths) => {
  const recipient = new TestEnclave(bits);
  for (const length of lengths) {
    const plaintext = randomBytes(length);
    const cms = envelopedFor(recipientKeyOf(recipient.publicKey), plaintext, random);
    expect(openedByOpenSsl(cms, recipient.privateKeyPem)).toEqual(plaintext);
    expect(recipient.open(cms)).toEqual(plaintext);
  }
});

test('every byte but the key id, the encrypted key, the IV and the content is as AWS KMS answers', () => {
  const cms = envelopedFor(recipientKeyOf(enclave.publicKey), Buffer.alloc(28), random);
  // 28 bytes: the length of an answer that was published.
  expect(cms).toHaveLength(477);
  const hex = cms.toString('hex');
  expect(hex).toMatch(
    new RegExp(
      '^308006092a864886f70d010703a08030800201023182016b308201670201028020.{64}' +
        '303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108' +
        '300d0609608648016503040201050004820100.{512}' +
        '308006092a864886f70d010701301d060960864801650304012a0410.{32}a0800420.{64}00000000000000000000$',
    ),
  );
});

test('no two are alike, and only the key opens them', () => {
  const make = () => envelopedFor(recipientKeyOf(enclave.publicKey), Buffer.alloc(32), random);
  expect(make()).not.toEqual(make());
  expect(() => new TestEnclave().open(make())).toThrow();
});

test('the content key is overwritten', () => {
  const drawn: Buffer[] = [];
  const drawing = (length: number): Buffer => {
    const bytes = randomBytes(length);
    drawn.push(bytes);
    return bytes;
  };
  envelopedFor(recipientKeyOf(enclave.publicKey), Buffer.of(1), { random: drawing, nonce: randomBytes });
  expect(drawn).toEqual([Buffer.alloc(32)]);
});

test.each([
  ['nothing', Buffer.of()],
  ['no key', Buffer.from('dummy')],
  ['an RSA key of 1024 bits', new TestEnclave(1024).publicKey],
  [
    'a key of a curve',
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'der', type: 'spki' }),
  ],
])('nothing is made for %s', (_what, spki) => {
  expect(() => recipientKeyOf(spki)).toThrow('invalid-input');
});
