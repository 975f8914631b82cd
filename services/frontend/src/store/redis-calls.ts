import { ConfigError } from '@keyfleet/shared/config';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import type { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { type StoreGuard, StoreRefusedError } from '@keyfleet/shared/redis/store-guard';
import {
  DamagedValueError,
  type EntryRange,
  isOfOtherType,
  ofOtherType,
  pageOfFields,
  type PageOfFields,
  readEachField,
  readEntries,
  readFields,
  readString,
} from '@keyfleet/shared/redis/stored-values';
import { ReplyError } from 'ioredis';
import { type AuthenticRecord, type RecordPlace, storedText } from './record-mac.ts';
import { fenced, fenceOf, fencesOf, type ScriptPart } from './record-fence.ts';
import { patiently, wasNotMade, wasNotRead } from './patience.ts';
import {
  defineScripts,
  evalScript,
  numberOfKeysOf,
  type Script,
  type ScriptForManyName,
  type ScriptName,
} from './scripts.ts';
import { DamagedRecordError, StoreUnavailableError } from './store.ts';

type WriteCommand = 'set' | 'hsetnx' | 'hdel' | 'unlink' | 'zadd' | 'zrem';
type Argument = ScriptPart | AuthenticRecord;

export interface Connections {
  /** For everything that need not wait for replicas. */
  readonly client: RedisClient;
  /** Has its own connection. */
  readonly writes: DurableWrites;
  /** Consulted before anything is sent; absent for callers that may use any store. */
  readonly guard?: Pick<StoreGuard, 'assertOurs' | 'wrote'>;
  /** Whether reads can be believed to match the store; absent where they always can. */
  readonly feed?: { readonly believesReads: boolean; readonly trusted: boolean };
}

/** Runs commands such that a write that returns is durable, and an unreachable Redis is one kind of error. */
export class RedisCalls {
  readonly #client: RedisClient;
  readonly #writes: DurableWrites;
  readonly #connections: Connections;
  readonly #guard: Connections['guard'];
  readonly #feed: Connections['feed'];

  constructor(connections: Connections) {
    const { client, writes, guard, feed } = connections;
    this.#connections = connections;
    this.#client = client;
    this.#writes = writes;
    this.#guard = guard;
    this.#feed = feed;
    defineScripts(client);
  }

  /** The same over another connection, but for writes that wait for replicas. */
  readingBy(client: RedisClient): RedisCalls {
    return new RedisCalls({ ...this.#connections, client });
  }

  /**
   * What was asked while all was well fails at once: its caller comes again, and is served by what is known. From then
   * on, only those ask who need Redis.
   */
  read<T>(command: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#undurably(() => command(this.#client), this.#mayRepeat);
  }

  get #mayRepeat(): (error: Error) => boolean {
    return this.#feed?.trusted === true ? () => false : wasNotRead;
  }

  // These throw DamagedRecordError for a value of another type than its kind's, for one that is too long, and, where
  // they read text, for one that is no UTF-8.

  async bytes(name: string): Promise<Buffer | undefined> {
    return this.read((client) => readString(client, name));
  }

  async text(name: string): Promise<string | undefined> {
    return textIn({ name }, await this.bytes(name));
  }

  async fieldBytes(name: string, field: string): Promise<Buffer | undefined> {
    const [value] = await this.read((client) => readFields(client, name, [field]));
    return value;
  }

  async field(name: string, field: string): Promise<string | undefined> {
    return textIn({ name, field }, await this.fieldBytes(name, field));
  }

  /** As `readEachField`. */
  async eachField(name: string, fields: readonly string[]): Promise<(string | undefined | DamagedValueError)[]> {
    const values = await this.read((client) => readEachField(client, name, fields));
    return values.map((value, i) => (Buffer.isBuffer(value) ? storedText({ name, field: fields[i]! }, value) : value));
  }

  pageOfFields(name: string, at: Parameters<typeof pageOfFields>[2]): Promise<PageOfFields> {
    return this.read((client) => pageOfFields(client, name, at));
  }

  entries(name: string, range: EntryRange): Promise<string[]> {
    return this.read((client) => readEntries(client, name, range));
  }

  /** What is short whatever stands under the name, such as a length. */
  about<T>(name: string, command: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.#undurably(() => command(this.#client), this.#mayRepeat, [name]);
  }

  write(command: WriteCommand, key: string, ...args: readonly ScriptPart[]): Promise<unknown> {
    return this.#durably([key], (client) => client.call(command, key, ...args));
  }

  script(name: ScriptName, key: string, ...parts: readonly Argument[]): Promise<unknown> {
    return this.#durably(namesOf(name, [key, ...parts]), (client) =>
      evalScript(client, name, this.#fenced(name, [key, ...parts])),
    );
  }

  /** For writes that a crash may lose: no request waits for a replica on their account. */
  scriptUndurably(name: ScriptName, key: string, ...parts: readonly Argument[]): Promise<unknown> {
    const run = () => scriptOf(this.#client, name)(...this.#fenced(name, [key, ...parts]));
    return this.#undurably(run, wasNotMade, namesOf(name, [key, ...parts]));
  }

  /**
   * The same with one call for many keys, each with as many arguments: in a Redis Cluster one call for each slot, else
   * one in all.
   */
  async scriptForMany(name: ScriptForManyName, all: readonly (readonly [string, ...Argument[]])[]): Promise<void> {
    const byFence = Map.groupBy(all, ([key]) => fenceOf(this.#client, key));
    const calls = [...byFence].map(([fence, some]) => {
      const parts = [...some.map(([key]) => key), ...some.flatMap(([, ...args]) => args)];
      const fencedParts = fenced(parts, { keys: some.length, fence });
      return this.#undurably(() => scriptOf(this.#client, name)(some.length + 1, ...fencedParts), wasNotMade);
    });
    await Promise.all(calls);
  }

  /** Where it says what is too old to be written: in a Redis Cluster in each of its slots. */
  get fences(): readonly string[] {
    return fencesOf(this.#client);
  }

  #fenced(name: ScriptName, [key, ...rest]: readonly [string, ...Argument[]]) {
    return fenced([key, ...rest], { keys: numberOfKeysOf(name), fence: fenceOf(this.#client, key) });
  }

  #undurably<T>(
    run: () => Promise<T>,
    mayRepeat: (error: Error) => boolean,
    names: readonly string[] = [],
  ): Promise<T> {
    const ask = async (): Promise<T> => {
      const looking = this.#guard?.assertOurs(this.#client);
      if (looking) await looking;
      if (this.#feed?.believesReads === false) throw new StoreUnavailableError('Redis: it may have been replaced');
      return run();
    };
    return withStoreErrors(names, () => patiently(ask, mayRepeat));
  }

  /** `names`: one or more of the same slot. */
  #durably(names: readonly string[], command: Parameters<DurableWrites['write']>[1]): Promise<unknown> {
    return withStoreErrors(names, async () => {
      const answer = await patiently(async () => {
        await this.#guard?.assertOurs(this.#writes.client);
        return this.#writes.write(names[0]!, command);
      }, wasNotMade);
      this.#guard?.wrote();
      return answer;
    });
  }
}

function textIn(place: RecordPlace, value: Buffer | undefined): string | undefined {
  const text = value && storedText(place, value);
  if (text instanceof DamagedRecordError) throw text;
  return text;
}

/** The names of the values that a script writes. */
function namesOf(name: ScriptName, parts: readonly Argument[]): string[] {
  return parts.slice(0, numberOfKeysOf(name)).map(String);
}

function scriptOf(client: unknown, name: ScriptName | ScriptForManyName): Script {
  const scripted = client as Record<typeof name, Script>;
  return (...parts) => scripted[name](...parts);
}

/**
 * What Redis answers when it cannot serve now but may later: starting, failing over, moving a slot, out of disk, or we
 * came late.
 */
const passing =
  /^(?:LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK|NOREPLICAS|MISCONF|OOM|BUSY|UNKILLABLE|NOAUTH|WRONGPASS|FENCED)/;

/** `names`: what it is about. */
async function withStoreErrors<T>(names: readonly string[], run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof StoreRefusedError || error instanceof StoreUnavailableError) throw error;
    if (!(error instanceof Error)) throw error;
    if (error instanceof ConfigError) throw new StoreRefusedError(error.message, { cause: error });
    if (error instanceof DamagedValueError) throw new DamagedRecordError(error.message, { cause: error });
    if (isOfOtherType(error)) throw new DamagedRecordError(ofOtherType(...names).message, { cause: error });
    if (error instanceof ReplyError && !passing.test(error.message)) throw error;
    throw new StoreUnavailableError(`Redis: ${error.message}`, { cause: error });
  }
}
