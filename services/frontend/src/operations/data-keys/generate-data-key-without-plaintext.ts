import type { GenerateDataKeyWithoutPlaintext } from '@keyfleet/shared/api/data-keys';
import { currentBackingKey } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';
import { dataKeyLengthOf } from './data-key-length.ts';
import { wrappingOf } from './new-data-key.ts';

export const generateDataKeyWithoutPlaintext: Handler<
  typeof GenerateDataKeyWithoutPlaintext,
  Pick<Deps, 'hsm'>
> = async (input, call, { hsm }) => {
  const length = dataKeyLengthOf(input);

  const { key, deadline } = call;
  const command = { ...wrappingOf(call, input.EncryptionContext), length, withPlaintext: false };
  const { ciphertext } = await hsm.execute('GenerateDataKey', command, deadline);
  return { CiphertextBlob: ciphertext, KeyId: key.arn, KeyMaterialId: currentBackingKey(key).materialId };
};
