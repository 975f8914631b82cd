import { randomUUID } from 'node:crypto';
import { mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import { Cluster, type Redis, type RedisOptions } from 'ioredis';
import { CHANGES } from './changes.ts';
import type { Trust } from './read-cache.ts';

const BEAT_MS = 250;
/** How long after a beat was sent its coming back proves that no change was missed. */
const TRUST_MS = 1_000;

export interface ChangeListener {
  /** Something of this name has changed. */
  changed(name: string): void;
  /** Changes may have been missed. */
  lost(): void;
}

/** Where a cache hears of changes, and whether it hears of all. */
export interface Changes extends Trust {
  listen(listener: ChangeListener): void;
}

/**
 * Hears of every change that any frontend makes. Redis sends in order, so when this frontend's own beat comes back, everything
 * published before it has been heard: for a second after sending it the feed can be trusted, and without a newer one no longer.
 */
export class ChangeFeed implements Changes, AsyncDisposable {
  readonly #client: RedisClient;
  readonly #listeners: ChangeListener[] = [];
  #nodes: readonly NodeFeed[] = [];

  constructor(client: RedisClient) {
    this.#client = client;
    this.#follow();
    if (client instanceof Cluster) client.on('+node', this.#follow).on('-node', this.#follow);
  }

  get trusted(): boolean {
    return this.#nodes.length > 0 && this.#nodes.every((node) => node.trusted);
  }

  listen(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#client instanceof Cluster) this.#client.off('+node', this.#follow).off('-node', this.#follow);
    for (const node of this.#nodes) node.stop();
    this.#nodes = [];
    this.#all.lost();
  }

  /** In a Cluster each node that takes writes is heard by itself: what nodes tell each other may be lost. */
  readonly #follow = (): void => {
    for (const node of this.#nodes) node.stop();
    this.#nodes = mastersOf(this.#client).map((node) => new NodeFeed(node, this.#all));
    this.#all.lost();
  };

  readonly #all: ChangeListener = {
    changed: (name) => this.#listeners.forEach((listener) => listener.changed(name)),
    lost: () => this.#listeners.forEach((listener) => listener.lost()),
  };
}

const subscriberOptions: Partial<RedisOptions> = {
  // After the answer to its subscription the connection carries beats: they tell whether it lives, and not a timeout.
  commandTimeout: undefined,
  socketTimeout: undefined,
  enableAutoPipelining: false,
  enableOfflineQueue: true,
  readOnly: false,
  retryStrategy: (attempt) => Math.min(50 * attempt, BEAT_MS),
};

class NodeFeed {
  readonly #subscriber: Redis;
  readonly #timer: NodeJS.Timeout;
  readonly #channel = `kf:beat:${randomUUID()}`;
  #trustedUntil = 0;

  constructor(node: Redis, listener: ChangeListener) {
    this.#subscriber = node.duplicate(subscriberOptions);
    this.#subscriber.on('message', (channel: string, message: string) => {
      if (channel === CHANGES) listener.changed(message);
      else this.#trustedUntil = Math.max(this.#trustedUntil, Number(message) + TRUST_MS);
    });
    this.#subscriber.on('close', () => {
      this.#trustedUntil = 0;
      listener.lost();
    });
    // The commands' own connection reports what is wrong with Redis.
    this.#subscriber.on('error', () => {});
    this.#subscriber.subscribe(CHANGES, this.#channel).catch(() => {});
    this.#timer = setInterval(() => {
      node.publish(this.#channel, String(performance.now())).catch(() => {});
    }, BEAT_MS);
  }

  get trusted(): boolean {
    return performance.now() < this.#trustedUntil;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#subscriber.disconnect();
  }
}
