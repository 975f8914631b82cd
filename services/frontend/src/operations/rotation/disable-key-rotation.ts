import type { DisableKeyRotation } from '@keyfleet/shared/api/rotation';
import { changeKey } from '../../keys/change-key.ts';
import { assertAutomaticRotation } from '../../keys/rotation.ts';
import type { Deps, Handler } from '../handler.ts';

export const disableKeyRotation: Handler<typeof DisableKeyRotation, Pick<Deps, 'keys'>> = async (
  _input,
  { key },
  { keys },
) => {
  assertAutomaticRotation(key);
  await changeKey(key, { keys, operation: 'DisableKeyRotation', change: () => ({ automaticRotation: undefined }) });
};
