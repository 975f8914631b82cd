import type { Encrypt } from '@keyfleet/shared/api/cipher';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';
import { contextOf } from './encryption-context.ts';

export const encrypt: Handler<typeof Encrypt, Pick<Deps, 'hsm'>> = async (input, { key, deadline }, { hsm }) => {
  const { EncryptionAlgorithm: algorithm, Plaintext: plaintext } = input;
  const encryptionContext = contextOf(input.EncryptionContext, algorithm);

  const command = { ...commandKeyOf(key), algorithm, encryptionContext, plaintext };
  const { ciphertext } = await hsm.execute('Encrypt', command, deadline);
  return { CiphertextBlob: ciphertext, KeyId: key.arn, EncryptionAlgorithm: algorithm };
};
