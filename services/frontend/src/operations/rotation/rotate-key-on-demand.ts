import type { RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { evictBackingKeys } from '../../keys/backing-keys.ts';
import { newBackingKey } from '../../keys/new-backing-key.ts';
import { rotatedTo } from '../../keys/rotation.ts';
import type { Deps, Handler } from '../handler.ts';

type RotateKeyOnDemandDeps = Pick<Deps, 'keys' | 'hsm' | 'clock' | 'serviceEvents'>;

export const rotateKeyOnDemand: Handler<typeof RotateKeyOnDemand, RotateKeyOnDemandDeps> = async (
  _input,
  { key, deadline },
  { keys, hsm, clock, serviceEvents },
) => {
  const backingKey = await newBackingKey(key, { hsm, clock, deadline });
  const rotated = await keys.updateKey({ ...key, ...rotatedTo(key, backingKey, 'ON_DEMAND') });
  serviceEvents.keyRotated(rotated);
  await evictBackingKeys({ backingKeys: rotated.backingKeys.slice(-2, -1) }, { hsm, deadline });
  return { KeyId: key.arn };
};
