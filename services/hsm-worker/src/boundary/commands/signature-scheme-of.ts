import { type Message, type SignatureScheme, signatureSchemes } from '../crypto/signature.ts';
import type { BackingKey } from '../keys/backing-key.ts';
import { assertAlgorithm } from './backing-key-of.ts';
import { RefusedError } from './command.ts';

/** How a key signs or verifies a message; `invalid-input` if the algorithm is not the key's or does not take such a message. */
export function signatureSchemeOf(backingKey: BackingKey, input: Message & { algorithm: string }): SignatureScheme {
  assertAlgorithm(backingKey, input.algorithm);
  const scheme = signatureSchemes[input.algorithm]!;
  if (!scheme.accepts(input)) throw new RefusedError('invalid-input');
  return scheme;
}
