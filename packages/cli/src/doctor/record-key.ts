import { madeIn } from '@keyfleet/frontend/store/fleet-key';
import { type MadeRecordKey, recordKeyName } from '@keyfleet/frontend/store/record-key';
import { fencesOf } from '@keyfleet/frontend/store/record-fence';
import { type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { DamagedValueError, readString } from '@keyfleet/shared/redis/stored-values';
import { secretAt } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';
import { notedOldest, storedNumbers } from '../record-key-numbers.ts';

/**
 * Earlier releases dropped also the domain keys that removals made while the record key was older. Nothing is wrong
 * where nobody left.
 */
const FORGOTTEN =
  'the domain key that it was made under was dropped, and no removal since then is known: if somebody left, replace it ' +
  '(docs/operations.md)';

/**
 * Whether somebody who left the domain may have the key that authenticates records, by what its token says. Anybody who
 * writes Redis can write such a token, so this finds what was forgotten, and `checkOpenedRecordKey` what was hidden.
 */
export async function checkRecordKey(redis: RedisClient, state: DomainState): Promise<string> {
  const noted = await notedOldest(redis);
  const oldest = noted ?? 1;
  const number = (await storedNumbers(redis)).at(-1);
  if (number === undefined && noted === undefined) return 'none was needed yet';
  const { name } = recordKeyName(number ?? oldest);
  const token = await readString(redis, secretAt(name));
  if (number === undefined || token === undefined || (await redis.exists(secretAt(recordKeyName(oldest).name))) === 0) {
    throw new CliError(
      `record key ${oldest} should be the oldest and is missing: restore kf:record-keys and ${secretAt(recordKeyName(oldest).name)} from a backup.`,
    );
  }
  await assertNotFenced(redis, number);
  return `${judgedRecordKey(state, { number, madeIn: madeIn(state, name, token) })}. It says so itself: --deep has it opened`;
}

/** A fence keeps frontends from writing under older record keys, while these are replaced. */
async function assertNotFenced(redis: RedisClient, newest: number): Promise<void> {
  const fences = fencesOf(redis);
  const stand = await Promise.all(fences.map((name) => readFence(redis, name)));
  const wrong = stand.findIndex((fence) => fence !== undefined && !(Number(fence) <= newest));
  if (wrong < 0) return;
  throw new CliError(
    `${fences[wrong]} is ${stand[wrong]}, and ${newest} is the newest record key: no frontend can write a record. Somebody put that there: remove it, or run keyfleet store rotate-record-key, which does.`,
  );
}

async function readFence(redis: RedisClient, name: string): Promise<string | undefined> {
  try {
    return (await readString(redis, name))?.toString();
  } catch (error) {
    if (error instanceof DamagedValueError) return 'no number';
    throw error;
  }
}

/** Throws CliError if somebody who left may have it. `madeIn`: 0 if nobody knows. */
export function judgedRecordKey(state: DomainState, { number, madeIn: generation }: MadeRecordKey): string {
  const removedIn = newestAfterRemoval(state)?.createdGeneration ?? 0;
  const isFirstDropped = state.domainKeys[0]!.createdGeneration > 1;
  if (generation === 0 && removedIn === 0 && isFirstDropped) return `${number}; ${FORGOTTEN}`;
  if (generation >= removedIn) return `${number}; nobody has left the domain since it was made`;
  throw new CliError(
    `record key ${number} was made before generation ${removedIn}, in which a member or frontend left: whoever left can still forge records, given access to Redis. ` +
      `Replace it: keyfleet store rotate-record-key --newest ${number} --made-in GENERATION (docs/operations.md). If it was replaced since then, somebody put it back: restore a backup`,
  );
}
