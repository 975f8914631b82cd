import type { GenerateDataKey } from '@keyfleet/shared/api/data-keys';
import { currentBackingKey } from '../../keys/backing-keys.ts';
import { assertAlgorithm, assertUsage } from '../../keys/key-usage.ts';
import { contextOf } from '../cipher/encryption-context.ts';
import { assertNotDryRun } from '../dry-run.ts';
import type { Deps, Handler } from '../handler.ts';
import { assertNoRecipient } from '../recipient.ts';
import { dataKeyLengthOf } from './data-key-length.ts';

export const generateDataKey: Handler<typeof GenerateDataKey, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  assertUsage(key, 'ENCRYPT_DECRYPT', 'GenerateDataKey');
  assertAlgorithm(key, 'SYMMETRIC_DEFAULT');
  const length = dataKeyLengthOf(input);
  assertNoRecipient(input.Recipient);
  assertNotDryRun(input.DryRun);

  const { token, materialId } = currentBackingKey(key);
  const encryptionContext = contextOf(input.EncryptionContext, 'SYMMETRIC_DEFAULT');
  const command = { keyId: key.keyId, token, encryptionContext, length, withPlaintext: true };
  const { ciphertext, plaintext } = await hsm.execute('GenerateDataKey', command, deadline);
  if (!plaintext) throw new Error('the HSM left out the plaintext of a data key');
  return { CiphertextBlob: ciphertext, Plaintext: plaintext, KeyId: key.arn, KeyMaterialId: materialId };
};
