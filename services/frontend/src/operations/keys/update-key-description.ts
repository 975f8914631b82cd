import type { UpdateKeyDescription } from '@keyfleet/shared/api/keys';
import { changeKey } from '../../keys/change-key.ts';
import type { Deps, Handler } from '../handler.ts';

export const updateKeyDescription: Handler<typeof UpdateKeyDescription, Pick<Deps, 'keys'>> = async (
  { Description },
  { key },
  { keys },
) => {
  await changeKey(key, { keys, operation: 'UpdateKeyDescription', change: () => ({ description: Description }) });
};
