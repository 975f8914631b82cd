import { bytes } from '../encoding/canonical.ts';
import { algorithm, encryptionContext, key, KeySpecName, loggedIn, randomLength } from './command-fields.ts';
import { defineCommand } from './define-command.ts';

// Commands whose secret leaves the HSM only as encrypted to a recipient: a Nitro enclave that a frontend has seen
// attested. Otherwise each is the command of the same name. Refused with `invalid-input` if the recipient has no RSA
// key of 2048, 3072 or 4096 bits.

/** The recipient's public key: DER SubjectPublicKeyInfo. */
const recipient = bytes({ max: 1024 });
/** CMS EnvelopedData (docs/formats.md, "Ciphertext for a recipient"). */
const ciphertextForRecipient = bytes();

export const DecryptForRecipient = defineCommand(40, 'DecryptForRecipient', {
  input: { ...key, algorithm, encryptionContext, ciphertext: bytes(), recipient },
  output: { ciphertextForRecipient },
});

export const GenerateDataKeyForRecipient = defineCommand(41, 'GenerateDataKeyForRecipient', {
  input: { ...key, encryptionContext, length: randomLength, recipient },
  output: { ciphertext: bytes(), ciphertextForRecipient },
});

export const GenerateDataKeyPairForRecipient = defineCommand(42, 'GenerateDataKeyPairForRecipient', {
  input: { ...key, encryptionContext, keyPairSpec: KeySpecName, recipient },
  output: { ciphertext: bytes(), publicKey: bytes(), ciphertextForRecipient },
});

export const GenerateRandomForRecipient = defineCommand(43, 'GenerateRandomForRecipient', {
  input: { length: randomLength, recipient },
  output: { ciphertextForRecipient },
});

export const DeriveSharedSecretForRecipient = defineCommand(44, 'DeriveSharedSecretForRecipient', {
  input: { ...key, publicKey: bytes(), recipient },
  output: { ciphertextForRecipient },
});

export const GenerateRandomInClusterForRecipient = defineCommand(45, 'GenerateRandomInClusterForRecipient', {
  input: { ...loggedIn, length: randomLength, recipient },
  output: { ciphertextForRecipient },
});
