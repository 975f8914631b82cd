import { macHashes, macMatches, macOf } from '../crypto/mac.ts';
import { assertAlgorithm, backingKeyOf } from './backing-key-of.ts';
import type { CommandHandler } from './command.ts';

export const verifyMac: CommandHandler<'VerifyMac'> = (input, context) => {
  const backingKey = backingKeyOf(input, 'GENERATE_VERIFY_MAC', context);
  assertAlgorithm(backingKey, input.algorithm);
  return { valid: macMatches(macOf(backingKey.key, macHashes[input.algorithm]!, input.message), input.mac) };
};
