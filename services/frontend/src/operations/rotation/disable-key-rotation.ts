import type { DisableKeyRotation } from '@keyfleet/shared/api/rotation';
import { changeKey } from '../../keys/change-key.ts';
import type { Deps, Handler } from '../handler.ts';

export const disableKeyRotation: Handler<typeof DisableKeyRotation, Pick<Deps, 'keys'>> = async (
  _input,
  { key },
  { keys },
) => {
  await changeKey(key, { keys, operation: 'DisableKeyRotation', change: () => ({ automaticRotation: undefined }) });
};
