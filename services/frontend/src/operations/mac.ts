import type { GenerateMac, VerifyMac } from '@keyfleet/shared/api/mac';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { commandKeyOf } from '../keys/backing-keys.ts';
import type { Deps, Handler } from './handler.ts';

export const generateMac: Handler<typeof GenerateMac, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const { MacAlgorithm: algorithm, Message: message } = input;
  const command = { ...commandKeyOf(key), algorithm, message };
  const { mac } = await hsm.execute('GenerateMac', command, deadline);
  return { Mac: mac, MacAlgorithm: algorithm, KeyId: key.arn };
};

/** Never answers false: a mismatch is an exception that says nothing more. */
export const verifyMac: Handler<typeof VerifyMac, Pick<Deps, 'hsm'>> = async (input, { key, deadline }, { hsm }) => {
  const { MacAlgorithm: algorithm, Message: message, Mac: mac } = input;
  const command = { ...commandKeyOf(key), algorithm, message, mac };
  const { valid } = await hsm.execute('VerifyMac', command, deadline);
  if (!valid) throw new KmsException('KMSInvalidMacException');
  return { KeyId: key.arn, MacValid: true, MacAlgorithm: algorithm };
};
