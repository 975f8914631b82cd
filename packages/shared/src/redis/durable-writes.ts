import { isCluster, type RedisClient, type RedisCommands } from './connect.ts';
import type { Durability } from './durability.ts';

/** Shorter than the command timeout, so that the outcome is known. */
const REPLICATION_TIMEOUT_MS = 750;

export type WriteCommand = (client: RedisCommands) => unknown;

/** The master made a write that may be lost with it: too few replicas have it in time. */
export class NotReplicatedError extends Error {
  override name = 'NotReplicatedError';
}

/**
 * Writes that are durable when they return. WAIT holds up everything behind it on its connection, so this connection
 * has no other use. Writes that arrive during a WAIT are held here and sent together afterwards, so that none is made
 * long after it has failed.
 */
export class DurableWrites {
  readonly #client: RedisClient;
  readonly #durability: () => Durability | Promise<Durability>;
  readonly #lanes = new Map<string, Lane>();

  constructor(client: RedisClient, durability: () => Durability | Promise<Durability>) {
    this.#client = client;
    this.#durability = durability;
  }

  get client(): RedisClient {
    return this.#client;
  }

  /**
   * `key`: one that the command writes to. Rejects with NotReplicatedError, or with the error of Redis or the
   * connection.
   */
  async write(key: string, command: WriteCommand): Promise<unknown> {
    const { replicas } = await this.#durability();
    if (replicas === 0) return command(this.#client);
    const name = isCluster(this.#client) ? hashTagOf(key) : '';
    const lane = this.#lanes.get(name) ?? new Lane(this.#client, () => this.#lanes.delete(name));
    this.#lanes.set(name, lane);
    return lane.write(key, command, replicas);
  }
}

/** Names with one hash tag are certain to be on one node, and one pipeline can hold only those. */
function hashTagOf(key: string): string {
  return /\{(.+?)\}/.exec(key)?.[1] ?? key;
}

interface Waiting extends PromiseWithResolvers<unknown> {
  readonly key: string;
  readonly command: WriteCommand;
  /** As many as were required when it was made. */
  readonly replicas: number;
  redirected: number;
}

/** Where the slots of a node move, another may be taken for its new place for a moment. */
const MOST_REDIRECTIONS = 5;

class Lane {
  readonly #client: RedisClient;
  readonly #onIdle: () => void;
  #waiting: Waiting[] = [];
  #sending = false;

  constructor(client: RedisClient, onIdle: () => void) {
    this.#client = client;
    this.#onIdle = onIdle;
  }

  write(key: string, command: WriteCommand, replicas: number): Promise<unknown> {
    const waiting = { key, command, replicas, redirected: 0, ...Promise.withResolvers<unknown>() };
    this.#waiting.push(waiting);
    if (!this.#sending) void this.#send();
    return waiting.promise;
  }

  async #send(): Promise<void> {
    this.#sending = true;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      await this.#sendGroup(group).catch((error: unknown) => group.forEach(({ reject }) => reject(error)));
    }
    this.#sending = false;
    this.#onIdle();
  }

  /** WAIT counts the writes of its own connection, so it follows them directly. */
  async #sendGroup(group: readonly Waiting[]): Promise<void> {
    const replicas = group.reduce((most, waiting) => Math.max(most, waiting.replicas), 0);
    const pipeline = this.#client.pipeline();
    for (const { command } of group) command(pipeline);
    pipeline.wait(replicas, REPLICATION_TIMEOUT_MS);
    const answers = (await pipeline.exec()) ?? [];
    const [failed, reached] = answers[group.length] ?? [];
    const missing = failed ?? (Number(reached) < replicas ? new NotReplicatedError(notReplicated) : undefined);
    const moved: Waiting[] = [];
    for (const [i, waiting] of group.entries()) {
      const [error, answer] = answers[i] ?? [];
      const problem = error ?? missing;
      if (!problem) waiting.resolve(answer);
      else if (isMoved(problem) && waiting.redirected++ < MOST_REDIRECTIONS) moved.push(waiting);
      else waiting.reject(problem);
    }
    if (moved.length > 0) await this.#follow(moved);
  }

  /** They were not carried out. A single command tells the client where the slot is now. */
  async #follow(moved: readonly Waiting[]): Promise<void> {
    try {
      await this.#client.exists(moved[0]!.key);
      this.#waiting.unshift(...moved);
    } catch (error) {
      for (const { reject } of moved) reject(error);
    }
  }
}

function isMoved(error: Error): boolean {
  return error.message.startsWith('MOVED ');
}

const notReplicated = 'a write has not reached as many replicas as it must';
