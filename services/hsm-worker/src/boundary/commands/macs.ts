import { macHashes, macMatches, macOf } from '../crypto/mac.ts';
import {
  assertAlgorithm,
  backingKeyOf,
  type CommandContext,
  type CommandHandler,
  type KeyOfCommand,
} from './command.ts';

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
