import type { Encrypt } from '@keyfleet/shared/api/cipher';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import { assertAlgorithm, assertUsage } from '../../keys/key-usage.ts';
import { assertNotDryRun } from '../dry-run.ts';
import type { Deps, Handler } from '../handler.ts';
import { contextOf } from './encryption-context.ts';
import { assertFits } from './plaintext-size.ts';

export const encrypt: Handler<typeof Encrypt, Pick<Deps, 'hsm'>> = async (input, { key, deadline }, { hsm }) => {
  const { EncryptionAlgorithm: algorithm, Plaintext: plaintext } = input;
  assertUsage(key, 'ENCRYPT_DECRYPT', 'Encrypt');
  assertAlgorithm(key, algorithm);
  const encryptionContext = contextOf(input.EncryptionContext, algorithm);
  assertFits(plaintext, algorithm, key.keySpec);
  assertNotDryRun(input.DryRun);

  const command = { ...commandKeyOf(key), algorithm, encryptionContext, plaintext };
  const { ciphertext } = await hsm.execute('Encrypt', command, deadline);
  return { CiphertextBlob: ciphertext, KeyId: key.arn, EncryptionAlgorithm: algorithm };
};
