import { signatureSchemes } from '../crypto/signature.ts';
import type { Message, SignatureScheme } from '../crypto/signature-scheme.ts';
import { RefusedError } from '../errors.ts';
import type { BackingKey } from '../keys/backing-keys.ts';
import { assertAlgorithm, backingKeyOf, type CommandHandler } from './command.ts';

export const sign: CommandHandler<'Sign'> = async (input, context) => {
  const backingKey = backingKeyOf(input, 'SIGN_VERIFY', context);
  return {
    signature: await signatureSchemeOf(backingKey, input).sign(backingKey.key, input, context.noble.of(input.account)),
  };
};

export const verify: CommandHandler<'Verify'> = async (input, context) => {
  const backingKey = backingKeyOf(input, 'SIGN_VERIFY', context);
  const scheme = signatureSchemeOf(backingKey, input);
  return { valid: await scheme.verify(backingKey.publicKey, input, context.noble.of(input.account)) };
};

/** Refuses with `invalid-input` if the key does not have the algorithm, or the algorithm does not sign this message. */
function signatureSchemeOf(backingKey: BackingKey, input: Message & { algorithm: string }): SignatureScheme {
  assertAlgorithm(backingKey, input.algorithm);
  const scheme = signatureSchemes[input.algorithm]!;
  if (!scheme.accepts(input)) throw new RefusedError('invalid-input');
  return scheme;
}
