import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type MessageType, signingAlgorithms } from '@keyfleet/shared/signing-algorithms';
import type { KmsKey } from '../../keys/kms-key.ts';

export interface SignatureInput {
  readonly SigningAlgorithm: string;
  readonly MessageType: MessageType;
  readonly Message: Uint8Array;
}

/** What Sign and Verify ask of a message, whose algorithm the key has. Throws ValidationException. */
export function assertSignable(key: KmsKey, input: SignatureInput): void {
  const { SigningAlgorithm: algorithm, MessageType: type } = input;
  const lengths: Partial<Record<MessageType, number | null>> =
    signingAlgorithms[algorithm as keyof typeof signingAlgorithms];
  const length = lengths[type];
  if (length === undefined) {
    throw new KmsException(
      'ValidationException',
      `Message type ${type} is incompatible with ${incompatibleWith(key, algorithm)}.`,
    );
  }
  if (length !== null && input.Message.length !== length) {
    throw new KmsException('ValidationException', `Digest is invalid length for algorithm ${algorithm}.`);
  }
}

/** Keys of one algorithm are named by their spec, as AWS does; an Ed25519 key has two, which take different messages. */
function incompatibleWith({ keySpec }: KmsKey, algorithm: string): string {
  return keySpec === 'ECC_NIST_EDWARDS25519' ? `algorithm ${algorithm}` : `key spec ${keySpec}`;
}
