import { CredentialToken } from '../tokens/credential-token.ts';
import { sealToken } from '../tokens/sealed-token.ts';
import type { CommandHandler } from './command.ts';

/** 30 random bytes are 40 characters of base64 with no padding: the shape of AWS's secret access keys, and 240 bits. */
const secretLength = 30;

export const generateCredential: CommandHandler<'GenerateCredential'> = ({ accessKeyId, principal }, context) => {
  const random = context.random(secretLength);
  const secretAccessKey = random.toString('base64');
  const secret = Buffer.from(secretAccessKey, 'ascii');
  try {
    return {
      secretAccessKey,
      token: sealToken(CredentialToken, { header: { accessKeyId, principal }, secret }, context),
    };
  } finally {
    random.fill(0);
    secret.fill(0);
  }
};
