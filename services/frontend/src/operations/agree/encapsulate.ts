import type { Encapsulate } from '@keyfleet/shared/api/agree';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';

export const encapsulate: Handler<typeof Encapsulate, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const { EncapsulationAlgorithm: algorithm } = input;

  const { sharedSecret, ciphertext } = await hsm.execute('Encapsulate', commandKeyOf(key), deadline);
  return {
    KeyId: key.arn,
    SharedSecret: sharedSecret,
    SharedSecretCiphertextBlob: ciphertext,
    EncapsulationAlgorithm: algorithm,
  };
};
