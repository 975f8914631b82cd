import type { PutKeyPolicy } from '@keyfleet/shared/api/policies';
import type { Deps, Handler } from '../handler.ts';

export const putKeyPolicy: Handler<typeof PutKeyPolicy, Pick<Deps, 'keys'>> = async ({ Policy }, { key }, { keys }) => {
  await keys.updateKey({ ...key, policy: Policy });
};
