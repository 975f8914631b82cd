import type { GenerateDataKey } from '@keyfleet/shared/api/data-keys';
import { currentBackingKey } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';
import { dataKeyLengthOf } from './data-key-length.ts';
import { wrappingOf } from './new-data-key.ts';

export const generateDataKey: Handler<typeof GenerateDataKey, Pick<Deps, 'hsm'>> = async (input, call, { hsm }) => {
  const length = dataKeyLengthOf(input);

  const { key, deadline } = call;
  const command = { ...wrappingOf(call, input.EncryptionContext), length, withPlaintext: true };
  const { ciphertext, plaintext } = await hsm.execute('GenerateDataKey', command, deadline);
  if (!plaintext) throw new Error('the HSM left out the plaintext of a data key');
  const { materialId } = currentBackingKey(key);
  return { CiphertextBlob: ciphertext, Plaintext: plaintext, KeyId: key.arn, KeyMaterialId: materialId };
};
