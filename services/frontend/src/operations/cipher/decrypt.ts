import type { Decrypt } from '@keyfleet/shared/api/cipher';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import { requireCiphertext } from '../../keys/ciphertext.ts';
import type { Deps, Handler } from '../handler.ts';
import { opened, openingKeyOf } from './ciphertext-key.ts';
import { contextOf } from './encryption-context.ts';

export const decrypt: Handler<typeof Decrypt, Pick<Deps, 'hsm'>> = async (input, { key, deadline }, { hsm }) => {
  const { EncryptionAlgorithm: algorithm } = input;
  const ciphertext = requireCiphertext(input.CiphertextBlob);
  const backingKey = openingKeyOf(key, ciphertext);
  const encryptionContext = contextOf(input.EncryptionContext, algorithm);

  const command = { ...commandKeyOf(key, backingKey), algorithm, encryptionContext, ciphertext };
  // A dry run opens the ciphertext too: it answers what the call itself would.
  const { plaintext } = await opened(hsm.execute('Decrypt', command, deadline));
  return {
    KeyId: key.arn,
    Plaintext: plaintext,
    EncryptionAlgorithm: algorithm,
    ...(key.keySpec === 'SYMMETRIC_DEFAULT' && { KeyMaterialId: backingKey.materialId }),
  };
};
