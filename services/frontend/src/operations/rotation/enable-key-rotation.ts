import type { EnableKeyRotation } from '@keyfleet/shared/api/rotation';
import { automaticRotationFrom } from '../../keys/rotation.ts';
import type { Deps, Handler } from '../handler.ts';

export const enableKeyRotation: Handler<typeof EnableKeyRotation, Pick<Deps, 'keys' | 'clock'>> = async (
  { RotationPeriodInDays },
  { key },
  { keys, clock },
) => {
  const automaticRotation = automaticRotationFrom(clock.now(), RotationPeriodInDays, key.automaticRotation);
  await keys.updateKey({ ...key, automaticRotation });
};
