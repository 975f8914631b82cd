import type { Decapsulate } from '@keyfleet/shared/api/agree';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import { opened } from '../cipher/ciphertext-key.ts';
import type { Deps, Handler } from '../handler.ts';

/** A ciphertext of the right length always gives some secret: ML-KEM rejects implicitly (FIPS 203, 6.3). */
export const decapsulate: Handler<typeof Decapsulate, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const { EncapsulationAlgorithm: algorithm, SharedSecretCiphertextBlob: ciphertext } = input;

  const command = { ...commandKeyOf(key), ciphertext };
  const { sharedSecret } = await opened(hsm.execute('Decapsulate', command, deadline));
  return { KeyId: key.arn, SharedSecret: sharedSecret, EncapsulationAlgorithm: algorithm };
};
