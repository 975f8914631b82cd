import type { GenerateRandom } from '@keyfleet/shared/api/random';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { customKeyStoreNotFound } from '../custom-key-stores/not-found.ts';
import type { Deps, Handler } from '../handler.ts';
import { assertNoRecipient } from '../recipient.ts';

export const generateRandom: Handler<typeof GenerateRandom, Pick<Deps, 'hsm'>> = async (
  input,
  { deadline },
  { hsm },
) => {
  const { NumberOfBytes: length, CustomKeyStoreId: storeId } = input;
  if (length === undefined) throw new KmsException('ValidationException', 'NumberOfBytes is required.');
  assertNoRecipient(input.Recipient);
  if (storeId !== undefined) throw customKeyStoreNotFound(storeId);

  const { bytes } = await hsm.execute('GenerateRandom', { length }, deadline);
  return { Plaintext: bytes };
};
