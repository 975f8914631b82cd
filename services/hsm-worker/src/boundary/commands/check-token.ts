import { checkResealed } from '../tokens/stored-token.ts';
import type { CommandHandler } from './command.ts';

export const checkToken: CommandHandler<'CheckToken'> = ({ token, replaces, account }, { keyring }) => {
  checkResealed(token, { token: replaces, account }, keyring);
  return {};
};
