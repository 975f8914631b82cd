import { type MessageType, type OfferedSigningAlgorithm, signableLengths } from '@keyfleet/shared/algorithms';
import type { Sign, Verify } from '@keyfleet/shared/api/sign';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { commandKeyOf } from '../keys/backing-keys.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Deps, Handler } from './handler.ts';

export const sign: Handler<typeof Sign, Pick<Deps, 'hsm'>> = async (input, { key, deadline }, { hsm }) => {
  const { SigningAlgorithm: algorithm, MessageType: messageType, Message: message } = input;
  const command = { ...commandKeyOf(key), algorithm, messageType, message };
  const { signature } = await hsm.execute('Sign', command, deadline);
  return { KeyId: key.arn, Signature: signature, SigningAlgorithm: algorithm };
};

/** Never answers false: an invalid signature is an exception that says nothing more. */
export const verify: Handler<typeof Verify, Pick<Deps, 'hsm'>> = async (input, { key, deadline }, { hsm }) => {
  const { SigningAlgorithm: algorithm, MessageType: messageType, Message: message, Signature: signature } = input;
  const command = { ...commandKeyOf(key), algorithm, messageType, message, signature };
  const { valid } = await hsm.execute('Verify', command, deadline);
  if (!valid) throw new KmsException('KMSInvalidSignatureException');
  return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: algorithm };
};

export interface SignatureInput {
  readonly SigningAlgorithm: string;
  readonly MessageType: MessageType;
  readonly Message: Uint8Array;
}

/** Sign's and Verify's requirements on a message whose algorithm the key supports. Throws ValidationException. */
export function assertSignable(key: KmsKey, input: SignatureInput): void {
  const { SigningAlgorithm: algorithm, MessageType: type } = input;
  const length = signableLengths[algorithm as OfferedSigningAlgorithm][type];
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

/** AWS names a key with one algorithm by its spec. An Ed25519 key has two algorithms, which take different messages. */
function incompatibleWith({ keySpec }: KmsKey, algorithm: string): string {
  return keySpec === 'ECC_NIST_EDWARDS25519' ? `algorithm ${algorithm}` : `key spec ${keySpec}`;
}
