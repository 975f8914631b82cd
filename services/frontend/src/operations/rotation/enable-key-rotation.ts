import type { EnableKeyRotation } from '@keyfleet/shared/api/rotation';
import { changeKey } from '../../keys/change-key.ts';
import { automaticRotationFrom } from '../../keys/rotation.ts';
import type { Deps, Handler } from '../handler.ts';

export const enableKeyRotation: Handler<typeof EnableKeyRotation, Pick<Deps, 'keys' | 'clock'>> = async (
  { RotationPeriodInDays },
  { key },
  { keys, clock },
) => {
  await changeKey(key, {
    keys,
    operation: 'EnableKeyRotation',
    change: ({ automaticRotation }) => ({
      automaticRotation: automaticRotationFrom(clock.now(), RotationPeriodInDays, automaticRotation),
    }),
  });
};
