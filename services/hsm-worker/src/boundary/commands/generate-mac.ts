import { macHashes, macOf } from '../crypto/mac.ts';
import { assertAlgorithm, backingKeyOf } from './backing-key-of.ts';
import type { CommandHandler } from './command.ts';

export const generateMac: CommandHandler<'GenerateMac'> = (input, context) => {
  const backingKey = backingKeyOf(input, 'GENERATE_VERIFY_MAC', context);
  assertAlgorithm(backingKey, input.algorithm);
  return { mac: macOf(backingKey.key, macHashes[input.algorithm]!, input.message) };
};
