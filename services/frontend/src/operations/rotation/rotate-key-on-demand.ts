import type { RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { evictBackingKeys } from '../../keys/backing-keys.ts';
import { changeKey } from '../../keys/change-key.ts';
import { newBackingKey } from '../../keys/new-backing-key.ts';
import { assertOnDemandRotation, rotatedTo } from '../../keys/rotation.ts';
import type { Deps, Handler } from '../handler.ts';

type RotateKeyOnDemandDeps = Pick<Deps, 'keys' | 'hsm' | 'clock' | 'serviceEvents'>;

export const rotateKeyOnDemand: Handler<typeof RotateKeyOnDemand, RotateKeyOnDemandDeps> = async (
  _input,
  { key, deadline },
  { keys, hsm, clock, serviceEvents },
) => {
  const backingKey = await newBackingKey(key, { hsm, clock, deadline });
  const rotated = await changeKey(key, {
    keys,
    operation: 'RotateKeyOnDemand',
    change: (current) => {
      assertOnDemandRotation(current, clock.now());
      return rotatedTo(current, backingKey, 'ON_DEMAND');
    },
  });
  serviceEvents.keyRotated(rotated);
  await evictBackingKeys({ backingKeys: rotated.backingKeys.slice(-2, -1) }, { hsm, deadline });
  return { KeyId: key.arn };
};
