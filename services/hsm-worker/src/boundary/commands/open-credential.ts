import { CredentialToken } from '../tokens/credential-token.ts';
import { openToken } from '../tokens/sealed-token.ts';
import { type CommandHandler, RefusedError } from './command.ts';

export const openCredential: CommandHandler<'OpenCredential'> = ({ accessKeyId, principal, token }, { keyring }) => {
  const { header, secret } = openToken(CredentialToken, token, keyring);
  if (header.accessKeyId !== accessKeyId || header.principal !== principal) {
    secret.fill(0);
    throw new RefusedError('cannot-open');
  }
  return { secretAccessKey: secret };
};
