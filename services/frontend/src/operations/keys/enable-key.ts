import type { EnableKey } from '@keyfleet/shared/api/keys';
import { changeKey } from '../../keys/change-key.ts';
import type { Deps, Handler } from '../handler.ts';

export const enableKey: Handler<typeof EnableKey, Pick<Deps, 'keys'>> = async (_input, { key }, { keys }) => {
  await changeKey(key, { keys, operation: 'EnableKey', change: () => ({ state: 'Enabled' }) });
};
