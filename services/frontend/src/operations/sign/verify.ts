import type { Verify } from '@keyfleet/shared/api/sign';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';

/** Never answers false: a signature that does not verify is an exception, which says nothing more. */
export const verify: Handler<typeof Verify, Pick<Deps, 'hsm'>> = async (input, { key, deadline }, { hsm }) => {
  const { SigningAlgorithm: algorithm, MessageType: messageType, Message: message, Signature: signature } = input;
  const command = { ...commandKeyOf(key), algorithm, messageType, message, signature };
  const { valid } = await hsm.execute('Verify', command, deadline);
  if (!valid) throw new KmsException('KMSInvalidSignatureException');
  return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: algorithm };
};
