import { type MadeRecordKey, recordKeyName } from '@keyfleet/frontend/store/record-key';
import { accessKeyPlace } from '@keyfleet/frontend/store/record-places';
import { type RecordPlace, storedText } from '@keyfleet/frontend/store/record-mac';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { type DamagedValueError, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { firstAccessKeyIn, isOfKind, secretAt, storedNameOf } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';
import type { LeaveOut } from '../left-out.ts';
import { storedNumbers } from '../record-key-numbers.ts';
import type { Records } from '../records.ts';
import { rangeUpTo } from '../rotate-record-key.ts';
import type { Piece } from './format.ts';

/** What of a piece is backed up. */
export type Sift = (piece: Piece, leaveOut: LeaveOut) => Promise<Piece | undefined>;

/**
 * Only records that a frontend wrote where they are. Throws CliError if the newest record key is missing, or another
 * may be in use: nothing under it could be told from what somebody made up. `known`: the newest, as the operator knows
 * it. Redis is not believed about it.
 */
export async function onlyAuthentic(
  redis: RedisClient,
  { keys, macs }: { readonly keys: Pick<Records['keys'], 'look' | 'find' | 'uses'>; readonly macs: Records['macs'] },
  known: MadeRecordKey,
): Promise<Sift> {
  const { oldest, newest } = await rangeUpTo(redis, keys, known);
  const older = (await storedNumbers(redis)).find((number) => number < oldest);
  if (older !== undefined)
    throw new CliError(
      `record key ${older} is stored, and said to be dropped: end keyfleet store rotate-record-key first.`,
    );
  // Which older ones are in use is Redis's word alone, and one that was dropped may be known to who has left.
  if (oldest !== newest)
    throw new CliError(
      `record keys ${oldest} to ${newest} are in use, as far as Redis says: end keyfleet store rotate-record-key first, which names what keeps an older one in use.`,
    );
  if ((await keys.find(newest).catch(unlessDamaged)) === undefined)
    throw new CliError(`record key ${newest} is missing: see docs/recovery.md, or back up without --host.`);
  return async (piece, leaveOut) => {
    const isAuthentic = async (place: RecordPlace, stored: string | DamagedValueError): Promise<boolean> => {
      try {
        await macs.verified(place, stored);
        return true;
      } catch (error) {
        if (!(error instanceof DamagedRecordError)) throw error;
        leaveOut(error.message);
        return false;
      }
    };
    if (piece.type === 'list') return piece;
    if (piece.type === 'string' && isOfKind(piece.name, 'secret')) {
      if (piece.name !== secretAt(recordKeyName(newest).name)) {
        leaveOut(`${piece.name} (not record key ${newest}, the only secret in use)`);
        return undefined;
      }
      if (await keys.uses(newest, Buffer.from(piece.value, 'base64'))) return piece;
      throw new CliError(`somebody replaced record key ${newest} while the backup was taken.`);
    }
    if (piece.type === 'string') {
      const text = storedText({ name: piece.name }, Buffer.from(piece.value, 'base64'));
      if (typeof text !== 'string') {
        leaveOut(text.message);
        return undefined;
      }
      const record = recordIn(piece.name, text);
      return record === undefined || (await isAuthentic(...record)) ? piece : undefined;
    }
    const fields = Object.entries(piece.value);
    const kept = await Promise.all(
      fields.map(async ([field, value]) => {
        const place = { name: piece.name, field };
        return !isRecord(piece.name, field) || isAuthentic(place, storedText(place, Buffer.from(value, 'base64')));
      }),
    );
    return { ...piece, value: Object.fromEntries(fields.filter((_, i) => kept[i])) };
  };
}

/** Of a string, the record that it is or holds. */
function recordIn(name: string, text: string): readonly [RecordPlace, string] | undefined {
  const kind = storedNameOf(name)?.kind;
  if (kind === 'accessKey' || kind === 'accessKeyUse' || kind === 'keyStores') return [{ name }, text];
  const { accessKeyId, record } = firstAccessKeyIn(text);
  return kind === 'firstAccessKey' && record !== undefined ? [accessKeyPlace(accessKeyId), record] : undefined;
}

function isRecord(name: string, field: string): boolean {
  const kind = storedNameOf(name)?.kind;
  if (kind === 'key') return field === 'record' || field === 'lastUsage';
  return kind === 'aliases' || kind === 'iam' || kind === 'grants';
}
