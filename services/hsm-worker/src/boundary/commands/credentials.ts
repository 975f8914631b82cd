import { CredentialToken } from '../tokens/stored-token.ts';
import { RefusedError } from '../errors.ts';
import { openToken, sealToken } from '../tokens/sealed-token.ts';
import type { CommandHandler } from './command.ts';

/** As long as AWS's secret access keys: 6 random bits for each character, 240 in all. */
const secretLength = 40;
const base64Alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');

export const generateCredential: CommandHandler<'GenerateCredential'> = ({ accessKeyId, principal }, context) => {
  // Never a string, which nothing could overwrite.
  const secretAccessKey = context.random(secretLength);
  for (const [i, byte] of secretAccessKey.entries()) secretAccessKey[i] = base64Alphabet[byte & 63]!;
  try {
    const token = sealToken(CredentialToken, { header: { accessKeyId, principal }, secret: secretAccessKey }, context);
    return { secretAccessKey, token };
  } catch (error) {
    secretAccessKey.fill(0);
    throw error;
  }
};

export const sealCredential: CommandHandler<'SealCredential'> = (
  { accessKeyId, principal, secretAccessKey },
  context,
) => ({
  token: sealToken(CredentialToken, { header: { accessKeyId, principal }, secret: secretAccessKey }, context),
});

export const openCredential: CommandHandler<'OpenCredential'> = ({ accessKeyId, principal, token }, { keyring }) => {
  const { header, secret } = openToken(CredentialToken, token, keyring);
  if (header.accessKeyId !== accessKeyId || header.principal !== principal) {
    secret.fill(0);
    throw new RefusedError('cannot-open');
  }
  return { secretAccessKey: secret };
};
