import { madeIn } from '@keyfleet/frontend/store/fleet-key';
import { recordKeyName } from '@keyfleet/frontend/store/record-keys';
import { type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { RECORD_KEYS, secretAt } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';
import { storedFrom } from '../record-key-numbers.ts';

/**
 * Earlier releases dropped also the domain keys that removals made while the record key was older. Nothing is wrong
 * where nobody left.
 */
const FORGOTTEN =
  'the domain key that it was made under was dropped, and no removal since then is known: if somebody left, replace it ' +
  '(docs/operations.md)';

/** Whether somebody who left the domain may have the key that authenticates records. */
export async function checkRecordKey(redis: RedisClient, state: DomainState): Promise<string> {
  const noted = await redis.get(RECORD_KEYS);
  const oldest = Number(/^[1-9]\d{0,8}$/.exec(noted ?? '')?.[0] ?? 1);
  // The newest there is, whatever Redis says of the oldest.
  const number = [...(await storedFrom(redis, 1)), ...(await storedFrom(redis, oldest))].at(-1);
  if (number === undefined && noted === null) return 'none was needed yet';
  const { name } = recordKeyName(number ?? oldest);
  const token = await redis.getBuffer(secretAt(name));
  if (token === null || (await redis.exists(secretAt(recordKeyName(oldest).name))) === 0) {
    throw new CliError(
      `record key ${oldest} should be the oldest and is missing: restore kf:record-keys and ${secretAt(recordKeyName(oldest).name)} from a backup.`,
    );
  }
  const removedIn = newestAfterRemoval(state)?.createdGeneration ?? 0;
  const generation = madeIn(state, name, token);
  const isFirstDropped = state.domainKeys[0]!.createdGeneration > 1;
  if (generation === 0 && removedIn === 0 && isFirstDropped) return `${number}; ${FORGOTTEN}`;
  if (generation >= removedIn) return `${number}; nobody has left the domain since it was made`;
  throw new CliError(
    `record key ${number} was made before generation ${removedIn}, in which a member or frontend left: whoever left can still forge records, given access to Redis. ` +
      `Replace it: keyfleet store rotate-record-key --newest ${number} --made-in GENERATION (docs/operations.md). If it was replaced since then, somebody put it back: restore a backup`,
  );
}
