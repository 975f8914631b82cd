import { ConfigError } from '@keyfleet/shared/config';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import type { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { type StoreGuard, StoreRefusedError } from '@keyfleet/shared/redis/store-guard';
import { ReplyError } from 'ioredis';
import type { AuthenticRecord } from './record-mac.ts';
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
import { StoreUnavailableError } from './store.ts';

type WriteCommand = 'set' | 'hsetnx' | 'hdel' | 'del' | 'unlink' | 'zadd' | 'zrem';
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
  readonly #guard: Connections['guard'];
  readonly #feed: Connections['feed'];

  constructor({ client, writes, guard, feed }: Connections) {
    this.#client = client;
    this.#writes = writes;
    this.#guard = guard;
    this.#feed = feed;
    defineScripts(client);
  }

  /**
   * What was asked while all was well fails at once: its caller comes again, and is served by what is known. From then
   * on, only those ask who need Redis.
   */
  read<T>(command: (client: RedisClient) => Promise<T>): Promise<T> {
    const mayRepeat = this.#feed?.trusted === true ? () => false : wasNotRead;
    return this.#undurably(() => command(this.#client), mayRepeat);
  }

  write(command: WriteCommand, key: string, ...args: readonly ScriptPart[]): Promise<unknown> {
    return this.#durably(key, (client) => client.call(command, key, ...args));
  }

  script(name: ScriptName, key: string, ...parts: readonly Argument[]): Promise<unknown> {
    return this.#durably(key, (client) => evalScript(client, name, this.#fenced(name, [key, ...parts])));
  }

  /** For writes that a crash may lose: no request waits for a replica on their account. */
  scriptUndurably(name: ScriptName, key: string, ...parts: readonly Argument[]): Promise<unknown> {
    return this.#undurably(() => scriptOf(this.#client, name)(...this.#fenced(name, [key, ...parts])), wasNotMade);
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

  #undurably<T>(run: () => Promise<T>, mayRepeat: (error: Error) => boolean): Promise<T> {
    const ask = async (): Promise<T> => {
      const looking = this.#guard?.assertOurs(this.#client);
      if (looking) await looking;
      if (this.#feed?.believesReads === false) throw new StoreUnavailableError('Redis: it may have been replaced');
      return run();
    };
    return withStoreErrors(() => patiently(ask, mayRepeat));
  }

  #durably(key: string, command: Parameters<DurableWrites['write']>[1]): Promise<unknown> {
    return withStoreErrors(async () => {
      const answer = await patiently(async () => {
        await this.#guard?.assertOurs(this.#writes.client);
        return this.#writes.write(key, command);
      }, wasNotMade);
      this.#guard?.wrote();
      return answer;
    });
  }
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

async function withStoreErrors<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof StoreRefusedError || error instanceof StoreUnavailableError) throw error;
    if (!(error instanceof Error)) throw error;
    if (error instanceof ConfigError) throw new StoreRefusedError(error.message, { cause: error });
    if (error instanceof ReplyError && !passing.test(error.message)) throw error;
    throw new StoreUnavailableError(`Redis: ${error.message}`, { cause: error });
  }
}
