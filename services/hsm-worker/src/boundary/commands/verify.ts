import { backingKeyOf } from './backing-key-of.ts';
import type { CommandHandler } from './command.ts';
import { signatureSchemeOf } from './signature-scheme-of.ts';

export const verify: CommandHandler<'Verify'> = async (input, context) => {
  const backingKey = backingKeyOf(input, 'SIGN_VERIFY', context);
  const scheme = signatureSchemeOf(backingKey, input);
  return { valid: await scheme.verify(backingKey.publicKey, input, context.noble) };
};
