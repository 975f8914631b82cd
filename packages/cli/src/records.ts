import type { HsmClient } from '@keyfleet/frontend/hsm/client';
import { type AuthenticRecord, type RecordPlace, splitMac, storedText } from '@keyfleet/frontend/store/record-mac';
import { noRecordKeyFloor } from '@keyfleet/frontend/store/record-key-floor';
import type { MadeRecordKey } from '@keyfleet/frontend/store/record-key';
import { FleetRecordKeys } from '@keyfleet/frontend/store/record-keys';
import { RecordMacs } from '@keyfleet/frontend/store/record-macs';
import { accessKeyPlace } from '@keyfleet/frontend/store/record-places';
import { RedisCalls } from '@keyfleet/frontend/store/redis-calls';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import { systemClock } from '@keyfleet/shared/clock';
import { fewAtOnce } from '@keyfleet/shared/few-at-once';
import { checkByInfo } from '@keyfleet/shared/redis/durability';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { type DamagedValueError, RECORDS_AT_ONCE } from '@keyfleet/shared/redis/stored-values';
import { firstAccessKeyIn, storedNameOf } from '@keyfleet/shared/stored/names';
import type { OpenDomain } from './options.ts';
import { pagesOfAllNames } from './redis-option.ts';
import { loadStoredDomain } from './stored-domain.ts';

const PAGE = 500;

/** Records as frontends store them, for a command that workers serve. */
export interface Records {
  readonly calls: RedisCalls;
  readonly macs: RecordMacs;
  /** The keys of the MACs, and where those keys are stored. */
  readonly keys: FleetRecordKeys;
  readonly secrets: RedisFleetSecrets;
}

/**
 * `hsm` is no bare pool: with a wrong record key all records could be lost. `known`: the newest record key, where
 * Redis is not believed about it.
 */
export async function openRecords(
  redis: RedisClient,
  hsm: HsmClient,
  open: Pick<OpenDomain, 'client' | 'anchor'>,
  known?: MadeRecordKey,
): Promise<Records> {
  const calls = await openCalls(redis);
  const secrets = new RedisFleetSecrets(calls);
  const lowest = known && { oldest: 1, newest: known.number, madeIn: known.madeIn, fingerprints: {} };
  const keys = new FleetRecordKeys({
    secrets,
    hsm,
    domain: await loadStoredDomain(redis, open),
    clock: systemClock,
    floor: { ...noRecordKeyFloor, lowest },
  });
  return { calls, macs: new RecordMacs(keys), keys, secrets };
}

async function openCalls(redis: RedisClient): Promise<RedisCalls> {
  // Also for who has a frontend's user.
  const durability = await checkByInfo(redis, 'strict');
  return new RedisCalls({ client: redis, writes: new DurableWrites(redis, () => durability) });
}

/** A record and its place. */
export interface FoundRecord {
  readonly place: RecordPlace;
  /** With its MAC, if it has one. */
  readonly stored: string;
  /** Returns false if it has changed since it was read. */
  replace(next: AuthenticRecord): Promise<boolean>;
}

export function hasMac({ stored }: FoundRecord): boolean {
  return splitMac(stored) !== undefined;
}

export interface RecordPage {
  readonly records: readonly FoundRecord[];
  /** What is wrong with each value, or field, that cannot even be read. */
  readonly damaged: readonly string[];
}

/** All authenticated records, wherever they are. One that exists throughout appears at least once. */
export async function* pagesOfRecords(redis: RedisClient, calls: RedisCalls): AsyncGenerator<RecordPage> {
  for await (const names of pagesOfAllNames(redis)) {
    const found = await fewAtOnce(names, RECORDS_AT_ONCE, (name) => orDamaged(() => recordsIn(name, calls)));
    yield { records: found.flatMap(({ records }) => records), damaged: found.flatMap(({ damaged }) => damaged) };
    for (const name of names.filter(isHashOfRecords)) yield* pagesOfHash(name, calls);
  }
}

function isHashOfRecords(name: string): boolean {
  const kind = storedNameOf(name)?.kind;
  return kind === 'aliases' || kind === 'iam' || kind === 'grants' || kind === 'events';
}

async function* pagesOfHash(name: string, calls: RedisCalls): AsyncGenerator<RecordPage> {
  for (let cursor: string | undefined = '0'; cursor !== undefined;) {
    let next: string | undefined;
    const at = { cursor, count: PAGE };
    yield await orDamaged(async () => {
      const page = await calls.pageOfFields(name, at);
      next = page.cursor === '0' ? undefined : page.cursor;
      const records = page.fields.filter(([field]) => field !== 'claimedUntil');
      const texts = records.map(([field, value]) => [field, storedText({ name, field }, value)] as const);
      const { damaged, ...found } = pageOf(name, texts, calls);
      return { ...found, damaged: [...page.damaged, ...damaged] };
    });
    cursor = next;
  }
}

async function orDamaged(read: () => Promise<RecordPage>): Promise<RecordPage> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DamagedRecordError) return { records: [], damaged: [error.message] };
    throw error;
  }
}

const KEY_FIELDS = ['record', 'lastUsage'];

/** The few records with a name of their own. */
async function recordsIn(name: string, calls: RedisCalls): Promise<RecordPage> {
  if (storedNameOf(name)?.kind !== 'key') return { records: await readRecords(name, calls), damaged: [] };
  const texts = await calls.eachField(name, KEY_FIELDS);
  return pageOf(
    name,
    KEY_FIELDS.flatMap((field, i) => (texts[i] ? [[field, texts[i]] as const] : [])),
    calls,
  );
}

async function readRecords(name: string, calls: RedisCalls): Promise<FoundRecord[]> {
  switch (storedNameOf(name)?.kind) {
    case 'keyStores':
    case 'accessKey':
    case 'accessKeyUse': {
      const stored = await calls.text(name);
      return stored === undefined ? [] : [valueOf(name, { place: { name }, before: '', stored }, calls)];
    }
    case 'firstAccessKey': {
      const claim = (await calls.text(name)) ?? '';
      // The record of an access key that is not stored yet; otherwise there is only its id.
      const { accessKeyId, record: stored } = firstAccessKeyIn(claim);
      if (stored === undefined) return [];
      return [valueOf(name, { place: accessKeyPlace(accessKeyId), before: `${accessKeyId} `, stored }, calls)];
    }
    default:
      return [];
  }
}

/** Of a hash: what is wrong with one field hides none of the others. */
function pageOf(
  name: string,
  fields: readonly (readonly [field: string, text: string | DamagedValueError])[],
  calls: RedisCalls,
): RecordPage {
  const records = fields.flatMap(([field, text]) =>
    typeof text === 'string' ? [fieldOf(name, field, text, calls)] : [],
  );
  return { records, damaged: fields.flatMap(([, text]) => (typeof text === 'string' ? [] : [text.message])) };
}

function fieldOf(name: string, field: string, stored: string, calls: RedisCalls): FoundRecord {
  return {
    place: { name, field },
    stored,
    replace: async (next) => (await calls.script('kfReplaceField', name, field, stored, next)) === 1,
  };
}

interface Value {
  readonly place: RecordPlace;
  /** What precedes the record in the value. */
  readonly before: string;
  readonly stored: string;
}

function valueOf(name: string, { place, before, stored }: Value, calls: RedisCalls): FoundRecord {
  return {
    place,
    stored,
    replace: async ({ text, keyNumber }) => {
      const next = { text: before + text, keyNumber };
      return (await calls.script('kfReplaceValue', name, before + stored, next)) === 1;
    },
  };
}
