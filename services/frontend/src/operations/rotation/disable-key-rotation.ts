import type { DisableKeyRotation } from '@keyfleet/shared/api/rotation';
import type { Deps, Handler } from '../handler.ts';

export const disableKeyRotation: Handler<typeof DisableKeyRotation, Pick<Deps, 'keys'>> = async (
  _input,
  { key },
  { keys },
) => {
  await keys.updateKey({ ...key, automaticRotation: undefined });
};
