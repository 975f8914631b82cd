import type { EnableKey } from '@keyfleet/shared/api/keys';
import type { Deps, Handler } from '../handler.ts';

export const enableKey: Handler<typeof EnableKey, Pick<Deps, 'keys'>> = async (_input, { key }, { keys }) => {
  await keys.updateKey({ ...key, state: 'Enabled' });
};
