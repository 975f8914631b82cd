import type { Caller } from '../caller.ts';
import type { Lane } from '../crypto/pool-turns.ts';
import { signatureSchemes } from '../crypto/signature.ts';
import type { Message, SignatureScheme, Threads } from '../crypto/signature-scheme.ts';
import { RefusedError } from '../errors.ts';
import type { BackingKey } from '../keys/backing-keys.ts';
import { assertAlgorithm, backingKeyOf, type CommandContext, type CommandHandler } from './command.ts';

export const sign: CommandHandler<'Sign'> = async (input, context, caller) => {
  const backingKey = backingKeyOf(input, 'SIGN_VERIFY', context);
  const scheme = signatureSchemeOf(backingKey, input);
  return { signature: await scheme.sign(backingKey.key, input, threadsOf(input, context, caller)) };
};

export const verify: CommandHandler<'Verify'> = async (input, context, caller) => {
  const backingKey = backingKeyOf(input, 'SIGN_VERIFY', context);
  const scheme = signatureSchemeOf(backingKey, input);
  return { valid: await scheme.verify(backingKey.publicKey, input, threadsOf(input, context, caller)) };
};

/** Where the signatures of an account's key are made and checked. */
export function threadsOf(
  lane: Lane,
  { noble, poolTurns }: Pick<CommandContext, 'noble' | 'poolTurns'>,
  caller: Caller | undefined,
): Threads {
  return { noble: noble.of(lane.account), pooled: (work) => poolTurns.run(lane, caller, work) };
}

/** Refuses with `invalid-input` if the key does not have the algorithm, or the algorithm does not sign this message. */
function signatureSchemeOf(backingKey: BackingKey, input: Message & { algorithm: string }): SignatureScheme {
  assertAlgorithm(backingKey, input.algorithm);
  const scheme = signatureSchemes[input.algorithm]!;
  if (!scheme.accepts(input)) throw new RefusedError('invalid-input');
  return scheme;
}
