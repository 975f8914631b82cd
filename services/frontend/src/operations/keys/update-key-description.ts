import type { UpdateKeyDescription } from '@keyfleet/shared/api/keys';
import type { Deps, Handler } from '../handler.ts';

export const updateKeyDescription: Handler<typeof UpdateKeyDescription, Pick<Deps, 'keys'>> = async (
  { Description },
  { key },
  { keys },
) => {
  await keys.updateKey({ ...key, description: Description });
};
