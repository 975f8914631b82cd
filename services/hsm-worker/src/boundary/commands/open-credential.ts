import { CredentialToken } from '../tokens/credential-token.ts';
import { openToken } from '../tokens/sealed-token.ts';
import { type CommandHandler, RefusedError } from './command.ts';

export const openCredential: CommandHandler<'OpenCredential'> = ({ accessKeyId, principal, token }, { keyring }) => {
  const { header, secret } = openToken(CredentialToken, token, keyring);
  try {
    if (header.accessKeyId !== accessKeyId || header.principal !== principal) throw new RefusedError('cannot-open');
    return { secretAccessKey: secret.toString('ascii') };
  } finally {
    secret.fill(0);
  }
};
