import { macHashes, macMatches, macOf } from '../crypto/mac.ts';
import type { CommandContext, CommandHandler } from './command.ts';
import { assertAlgorithm, backingKeyOf, type KeyOfCommand } from './opened-key.ts';

export const generateMac: CommandHandler<'GenerateMac'> = (input, context) => ({ mac: expectedMac(input, context) });

export const verifyMac: CommandHandler<'VerifyMac'> = (input, context) => ({
  valid: macMatches(expectedMac(input, context), input.mac),
});

function expectedMac(
  input: KeyOfCommand & { algorithm: string; message: Uint8Array },
  context: CommandContext,
): Buffer {
  const backingKey = backingKeyOf(input, 'GENERATE_VERIFY_MAC', context);
  assertAlgorithm(backingKey, input.algorithm);
  return macOf(backingKey.key, macHashes[input.algorithm]!, input.message);
}
