import type { RedisClient } from '@keyfleet/shared/redis/connect';
import type { Durability } from '@keyfleet/shared/redis/durability';
import { type ChainableCommander, ReplyError } from 'ioredis';
import { defineScripts, type Script, type ScriptName } from './scripts.ts';
import { StoreUnavailableError } from './store.ts';

const REPLICATION_TIMEOUT_MS = 1_000;

type WriteCommand = 'set' | 'del' | 'zadd' | 'zrem';
type Argument = string | number | Buffer;

/** Runs commands so that a write that returns is durable, and that a Redis out of reach is one kind of error. */
export class RedisCalls {
  readonly #client: RedisClient;
  readonly #replicas: number;

  constructor(client: RedisClient, { replicas }: Durability) {
    this.#client = client;
    this.#replicas = replicas;
    defineScripts(client);
  }

  async read<T>(command: (client: RedisClient) => Promise<T>): Promise<T> {
    try {
      return await command(this.#client);
    } catch (error) {
      throw storeErrorOf(error);
    }
  }

  write(command: WriteCommand, ...args: readonly Argument[]): Promise<unknown> {
    return this.#durably((client) => client.call(command, ...args) as Promise<unknown>);
  }

  script(name: ScriptName, ...parts: readonly Argument[]): Promise<unknown> {
    return this.#durably((client) => (client as unknown as Record<ScriptName, Script>)[name](...parts));
  }

  async #durably(run: (client: RedisClient | ChainableCommander) => unknown): Promise<unknown> {
    try {
      if (this.#replicas === 0) return await run(this.#client);
      return await this.#replicated(run);
    } catch (error) {
      throw storeErrorOf(error);
    }
  }

  /** WAIT counts the writes of its own connection, so it goes right behind the write. */
  async #replicated(run: (client: ChainableCommander) => unknown): Promise<unknown> {
    const pipeline = this.#client.pipeline();
    run(pipeline);
    pipeline.wait(this.#replicas, REPLICATION_TIMEOUT_MS);
    const [written, waited] = (await pipeline.exec()) ?? [];
    if (written?.[0]) throw written[0];
    if (waited?.[0]) throw waited[0];
    if (Number(waited?.[1]) < this.#replicas) throw new StoreUnavailableError('a write has not reached its replicas');
    return written?.[1];
  }
}

/** What Redis says when it cannot serve now and may later: it starts, fails over, or its disk is full. */
const passing =
  /^(?:LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|OOM|BUSY|UNKILLABLE|NOAUTH|WRONGPASS)/;

function storeErrorOf(error: unknown): unknown {
  if (error instanceof StoreUnavailableError || !(error instanceof Error)) return error;
  if (error instanceof ReplyError && !passing.test(error.message)) return error;
  return new StoreUnavailableError(`Redis: ${error.message}`, { cause: error });
}
