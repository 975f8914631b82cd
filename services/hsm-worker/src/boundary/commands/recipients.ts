import { envelopedFor, recipientKeyOf } from '../crypto/enveloped-data.ts';
import { generateRandomInCluster } from './clusters.ts';
import type { CommandContext, CommandHandler } from './command.ts';
import { generateDataKey, generateDataKeyPair, generateRandom } from './data-keys.ts';
import { decrypt } from './encryption.ts';
import { deriveSharedSecret } from './shared-secrets.ts';

export const decryptForRecipient: CommandHandler<'DecryptForRecipient'> = async (input, context, caller) => {
  const { plaintext } = await decrypt(input, context, caller);
  return forRecipient(input, plaintext, context);
};

export const generateDataKeyForRecipient: CommandHandler<'GenerateDataKeyForRecipient'> = async (
  input,
  context,
  caller,
) => {
  const { ciphertext, plaintext } = await generateDataKey({ ...input, withPlaintext: true }, context, caller);
  return { ciphertext, ...forRecipient(input, plaintext!, context) };
};

export const generateDataKeyPairForRecipient: CommandHandler<'GenerateDataKeyPairForRecipient'> = async (
  input,
  context,
  caller,
) => {
  const { ciphertext, publicKey, privateKey } = await generateDataKeyPair(
    { ...input, withPlaintext: true },
    context,
    caller,
  );
  return { ciphertext, publicKey, ...forRecipient(input, privateKey!, context) };
};

export const generateRandomForRecipient: CommandHandler<'GenerateRandomForRecipient'> = async (
  input,
  context,
  caller,
) => {
  const { bytes } = await generateRandom(input, context, caller);
  return forRecipient(input, bytes, context);
};

export const deriveSharedSecretForRecipient: CommandHandler<'DeriveSharedSecretForRecipient'> = async (
  input,
  context,
  caller,
) => {
  const { sharedSecret } = await deriveSharedSecret(input, context, caller);
  return forRecipient(input, sharedSecret, context);
};

export const generateRandomInClusterForRecipient: CommandHandler<'GenerateRandomInClusterForRecipient'> = async (
  input,
  context,
  caller,
) => {
  const { bytes } = await generateRandomInCluster(input, context, caller);
  return forRecipient(input, bytes, context);
};

/** Encrypts the secret to the recipient and zeroes it. */
function forRecipient(
  { recipient }: { readonly recipient: Uint8Array },
  secret: Uint8Array,
  context: CommandContext,
): { ciphertextForRecipient: Buffer } {
  try {
    return { ciphertextForRecipient: envelopedFor(recipientKeyOf(recipient), secret, context) };
  } finally {
    secret.fill(0);
  }
}
