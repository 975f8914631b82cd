import { madeIn } from '@keyfleet/frontend/store/fleet-key';
import { recordKeyName } from '@keyfleet/frontend/store/record-keys';
import { type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { RECORD_KEYS, secretAt } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';

/** Whether somebody who left the domain may have the key that authenticates records. */
export async function checkRecordKey(redis: RedisClient, state: DomainState): Promise<string> {
  const number = await newestNumber(redis);
  const { name } = recordKeyName(number);
  const token = await redis.getBuffer(secretAt(name));
  if (token === null) return 'none was needed yet';
  const removedIn = newestAfterRemoval(state)?.createdGeneration ?? 0;
  if (madeIn(state, name, token) >= removedIn) return `${number}; nobody has left the domain since it was made`;
  throw new CliError(
    `record key ${number} was made before generation ${removedIn}, in which a member or frontend left: whoever left can write records, given access to Redis. ` +
      'Replace it: keyfleet store rotate-record-key',
  );
}

async function newestNumber(redis: RedisClient): Promise<number> {
  let number = Number((await redis.get(RECORD_KEYS)) ?? 1);
  while ((await redis.exists(secretAt(recordKeyName(number + 1).name))) === 1) number++;
  return number;
}
