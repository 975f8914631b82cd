import type { Encapsulate } from '@keyfleet/shared/api/agree';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import { assertAlgorithm, assertUsage } from '../../keys/key-usage.ts';
import { assertNotDryRun } from '../dry-run.ts';
import type { Deps, Handler } from '../handler.ts';

export const encapsulate: Handler<typeof Encapsulate, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const { EncapsulationAlgorithm: algorithm } = input;
  assertUsage(key, 'ENCAPSULATE_DECAPSULATE', 'Encapsulate');
  assertAlgorithm(key, algorithm);
  assertNotDryRun(input.DryRun);

  const { sharedSecret, ciphertext } = await hsm.execute('Encapsulate', commandKeyOf(key), deadline);
  return {
    KeyId: key.arn,
    SharedSecret: sharedSecret,
    SharedSecretCiphertextBlob: ciphertext,
    EncapsulationAlgorithm: algorithm,
  };
};
