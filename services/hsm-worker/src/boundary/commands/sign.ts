import { backingKeyOf } from './backing-key-of.ts';
import type { CommandHandler } from './command.ts';
import { signatureSchemeOf } from './signature-scheme-of.ts';

export const sign: CommandHandler<'Sign'> = async (input, context) => {
  const backingKey = backingKeyOf(input, 'SIGN_VERIFY', context);
  return { signature: await signatureSchemeOf(backingKey, input).sign(backingKey.key, input, context.noble) };
};
