import { generateKeyPairSync } from 'node:crypto';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';
import { expect, test } from 'vitest';
import { decryptOaep, encryptOaep } from './rsa-oaep.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const plaintext = Buffer.from('a message');

/** One in 256 ciphertexts begins with a zero byte. OpenSSL would accept it without that byte too. */
function ciphertextWithLeadingZero(): Buffer {
  for (;;) {
    const ciphertext = encryptOaep(publicKey, 'SHA-256', plaintext);
    if (ciphertext[0] === 0) return ciphertext;
  }
}

test('a ciphertext has one spelling: as long as the modulus, with its leading zero and no other', async () => {
  const ciphertext = ciphertextWithLeadingZero();
  expect(await decryptOaep(privateKey, 'SHA-256', ciphertext)).toEqual(plaintext);
  for (const other of [ciphertext.subarray(1), Buffer.concat([Buffer.of(0), ciphertext]), Buffer.of()]) {
    await expect(decryptOaep(privateKey, 'SHA-256', other)).rejects.toThrow(CannotOpenError);
  }
});
