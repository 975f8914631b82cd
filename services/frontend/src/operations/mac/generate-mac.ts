import type { GenerateMac } from '@keyfleet/shared/api/mac';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';

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
