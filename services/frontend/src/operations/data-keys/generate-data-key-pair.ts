import type { GenerateDataKeyPair } from '@keyfleet/shared/api/data-keys';
import { currentBackingKey } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';
import { wrappingOf } from './new-data-key.ts';

export const generateDataKeyPair: Handler<typeof GenerateDataKeyPair, Pick<Deps, 'hsm'>> = async (
  input,
  call,
  { hsm },
) => {
  const { KeyPairSpec: keyPairSpec } = input;

  const { key, deadline } = call;
  const command = { ...wrappingOf(call, input.EncryptionContext), keyPairSpec, withPlaintext: true };
  const { ciphertext, publicKey, privateKey } = await hsm.execute('GenerateDataKeyPair', command, deadline);
  if (!privateKey) throw new Error('the HSM left out the private key of a data key pair');
  return {
    PrivateKeyCiphertextBlob: ciphertext,
    PrivateKeyPlaintext: privateKey,
    PublicKey: publicKey,
    KeyId: key.arn,
    KeyPairSpec: keyPairSpec,
    KeyMaterialId: currentBackingKey(key).materialId,
  };
};
