import type { GenerateDataKeyPairWithoutPlaintext } from '@keyfleet/shared/api/data-keys';
import { currentBackingKey } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';
import { wrappingOf } from './new-data-key.ts';

export const generateDataKeyPairWithoutPlaintext: Handler<
  typeof GenerateDataKeyPairWithoutPlaintext,
  Pick<Deps, 'hsm'>
> = async (input, call, { hsm }) => {
  const { KeyPairSpec: keyPairSpec } = input;

  const { key, deadline } = call;
  const command = { ...wrappingOf(call, input.EncryptionContext), keyPairSpec, withPlaintext: false };
  const { ciphertext, publicKey } = await hsm.execute('GenerateDataKeyPair', command, deadline);
  return {
    PrivateKeyCiphertextBlob: ciphertext,
    PublicKey: publicKey,
    KeyId: key.arn,
    KeyPairSpec: keyPairSpec,
    KeyMaterialId: currentBackingKey(key).materialId,
  };
};
