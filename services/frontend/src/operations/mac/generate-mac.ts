import type { GenerateMac } from '@keyfleet/shared/api/mac';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import { assertAlgorithm, assertUsage } from '../../keys/key-usage.ts';
import { assertNotDryRun } from '../dry-run.ts';
import type { Deps, Handler } from '../handler.ts';

export const generateMac: Handler<typeof GenerateMac, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const { MacAlgorithm: algorithm, Message: message } = input;
  assertUsage(key, 'GENERATE_VERIFY_MAC', 'GenerateMac');
  assertAlgorithm(key, algorithm);
  assertNotDryRun(input.DryRun);

  const command = { ...commandKeyOf(key), algorithm, message };
  const { mac } = await hsm.execute('GenerateMac', command, deadline);
  return { Mac: mac, MacAlgorithm: algorithm, KeyId: key.arn };
};
