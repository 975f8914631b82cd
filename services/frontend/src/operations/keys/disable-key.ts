import type { DisableKey } from '@keyfleet/shared/api/keys';
import { evictBackingKeys } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';

export const disableKey: Handler<typeof DisableKey, Pick<Deps, 'keys' | 'hsm'>> = async (
  _input,
  { key, deadline },
  { keys, hsm },
) => {
  const disabled = await keys.updateKey({ ...key, state: 'Disabled' });
  // The record alone keeps every frontend from using the key; this takes the opened material out of memory as well.
  await evictBackingKeys(disabled, { hsm, deadline });
};
