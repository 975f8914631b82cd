import type { Sign } from '@keyfleet/shared/api/sign';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';

export const sign: Handler<typeof Sign, Pick<Deps, 'hsm'>> = async (input, { key, deadline }, { hsm }) => {
  const { SigningAlgorithm: algorithm, MessageType: messageType, Message: message } = input;
  const command = { ...commandKeyOf(key), algorithm, messageType, message };
  const { signature } = await hsm.execute('Sign', command, deadline);
  return { KeyId: key.arn, Signature: signature, SigningAlgorithm: algorithm };
};
