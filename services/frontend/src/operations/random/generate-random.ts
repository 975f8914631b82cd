import type { GenerateRandom } from '@keyfleet/shared/api/random';
import type { Deps, Handler } from '../handler.ts';

export const generateRandom: Handler<typeof GenerateRandom, Pick<Deps, 'hsm'>> = async (
  { NumberOfBytes: length },
  { deadline },
  { hsm },
) => {
  if (length === undefined) throw new Error('GenerateRandom was let through without a length');
  const { bytes } = await hsm.execute('GenerateRandom', { length }, deadline);
  return { Plaintext: bytes };
};
