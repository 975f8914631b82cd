import { randomUUID } from 'node:crypto';
import { Cluster, type Redis, type RedisOptions } from 'ioredis';
import { mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import { BEAT, beatChannel, CHANGES, type Scope } from '@keyfleet/shared/stored/names';
import type { Trust } from './read-cache.ts';

/** What a change of a key is called; a cache keeps the key under the same name. */
export function keyName(region: string, keyId: string): string {
  return `key ${region}/${keyId}`;
}

export function aliasName({ accountId, region }: Scope, name: string): string {
  return `alias ${accountId}/${region}/${name}`;
}

/** What changes when anybody is granted anything of a key, or no longer: all grants of one principal. */
export function grantsName({ region, keyId }: { region: string; keyId: string }, grantee: string): string {
  return `grants ${region}/${keyId} ${grantee}`;
}

/** Of any custom key store of an account's Region. */
export function keyStoresName({ accountId, region }: Scope): string {
  return `key-stores ${accountId}/${region}`;
}

/** Of anything in an account's IAM records: what an identity may do is put together from many of them. */
export function iamChangeOf(accountId: string): string {
  return `${IAM}${accountId}`;
}

export function accountOfIamChange(name: string): string | undefined {
  return name.startsWith(IAM) ? name.slice(IAM.length) : undefined;
}

const IAM = 'iam ';

/** That a record was written or removed, durably: told after the change itself. */
export function acknowledgedChange(id: string, revision: number): string {
  return `acknowledged ${revision} ${id}`;
}

export function readAcknowledgedChange(change: string): { readonly id: string; readonly revision: number } | undefined {
  const [, revision, id] = /^acknowledged (\d{1,16}) (.+)$/s.exec(change) ?? [];
  return id === undefined ? undefined : { id, revision: Number(revision) };
}

/** What is acknowledged of records that have an id of their own, which no other ever has. */

export function iamRecordName({ kind, accountId, id }: { kind: string; accountId: string; id: string }): string {
  return `${kind} ${accountId}/${id}`;
}
export function grantName({ region, keyId, grantId }: { region: string; keyId: string; grantId: string }): string {
  return `grant ${region}/${keyId}/${grantId}`;
}
export function accessKeyName(accessKeyId: string): string {
  return `access key ${accessKeyId}`;
}

const BEAT_MS = 250;
/** How long after a beat was sent its coming back proves that no change was missed. */
const TRUST_MS = 1_000;

/** Shorter, and a hiccup would refuse reads. */
const SHORTEST_BELIEF_MS = 2_000;

export interface ChangeListener {
  /** Something of this name has changed. */
  changed(name: string): void;
}

interface ChangeFeedOptions {
  /** How long after changes were last sure to be heard what was known then may be used; 0: not at all. */
  readonly serveStaleMs: number;
  /** Whether Redis can be replaced by a replica, so that only a write shows that it was not. */
  readonly beatsAreWrites: () => boolean;
}

/** Where a cache hears of changes, and whether it hears of all. */
export interface Changes extends Trust {
  /** Changes are no longer heard, and what was known when they last were may be used for a while. */
  readonly servesLastKnown: boolean;
  listen(listener: ChangeListener): void;
}

/**
 * Hears of every change that any frontend makes. Redis sends in order, so when this frontend's own beat comes back,
 * everything published before it has been heard: for a second after sending it the feed can be trusted, and without a
 * newer one no longer.
 */
export class ChangeFeed implements Changes, AsyncDisposable {
  readonly #client: RedisClient;
  readonly #options: ChangeFeedOptions;
  readonly #listeners: ChangeListener[] = [];
  #nodes: readonly NodeFeed[] = [];
  #epoch = 0;
  /** When changes were last sure to be heard, by `performance.now()`, and in which epoch. */
  #proven = { at: performance.now(), epoch: -1 };

  constructor(client: RedisClient, options: ChangeFeedOptions) {
    this.#client = client;
    this.#options = options;
    this.#follow();
    if (client instanceof Cluster) client.on('+node', this.#follow).on('-node', this.#follow);
  }

  get trusted(): boolean {
    return this.#proven.epoch === this.#epoch && performance.now() < this.#proven.at + TRUST_MS;
  }

  get epoch(): number {
    return this.#epoch;
  }

  isLastKnown(epoch: number): boolean {
    return epoch === this.#proven.epoch && performance.now() < this.#proven.at + this.#options.serveStaleMs;
  }

  get servesLastKnown(): boolean {
    return !this.trusted && this.isLastKnown(this.#proven.epoch);
  }

  /**
   * Whether a read is worth anything: a master that was deposed goes on answering, from what it was. Where a beat is a
   * write, it does not beat for long.
   */
  get believesReads(): boolean {
    const within = Math.max(this.#options.serveStaleMs, SHORTEST_BELIEF_MS);
    return !this.#options.beatsAreWrites() || performance.now() < this.#proven.at + within;
  }

  listen(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#client instanceof Cluster) this.#client.off('+node', this.#follow).off('-node', this.#follow);
    for (const node of this.#nodes) node.stop();
    this.#nodes = [];
    this.#epoch++;
  }

  /** In a Cluster each node that takes writes is heard by itself: what nodes tell each other may be lost. */
  readonly #follow = (): void => {
    for (const node of this.#nodes) node.stop();
    this.#nodes = mastersOf(this.#client).map((node) => new NodeFeed(node, this.#events));
    this.#epoch++;
  };

  readonly #events: NodeEvents = {
    changed: (name) => this.#listeners.forEach((listener) => listener.changed(name)),
    lost: () => void this.#epoch++,
    beaten: () => {
      const at = Math.min(...this.#nodes.map((node) => node.beatAt));
      if (at > this.#proven.at) this.#proven = { at, epoch: this.#epoch };
    },
    beat: (node, channel) => this.#beat(node, channel),
  };

  /** Only a node that still is a master beats: one that may write, or that the rest of its Cluster agrees with. */
  async #beat(node: Redis, channel: string): Promise<void> {
    const now = String(performance.now());
    if (this.#client instanceof Cluster) {
      if (String(await node.cluster('INFO')).includes('cluster_state:ok')) await node.publish(channel, now);
    } else if (this.#options.beatsAreWrites()) await node.eval(WRITTEN_BEAT, 1, BEAT, channel, now);
    else await node.publish(channel, now);
  }
}

/** KEYS: any. ARGV: channel, message. */
const WRITTEN_BEAT = `
redis.call('SET', KEYS[1], 1, 'PX', 10000)
redis.call('PUBLISH', ARGV[1], ARGV[2])`;

const subscriberOptions: Partial<RedisOptions> = {
  // After the answer to its subscription the connection carries beats: they tell whether it lives, and not a timeout.
  commandTimeout: undefined,
  socketTimeout: undefined,
  enableAutoPipelining: false,
  enableOfflineQueue: true,
  readOnly: false,
  retryStrategy: (attempt) => Math.min(50 * attempt, BEAT_MS),
};

interface NodeEvents extends ChangeListener {
  /** Changes may have been missed. */
  lost(): void;
  /** A beat came back. */
  beaten(): void;
  beat(node: Redis, channel: string): Promise<void>;
}

class NodeFeed {
  readonly #subscriber: Redis;
  readonly #timer: NodeJS.Timeout;
  readonly #channel = beatChannel(randomUUID());
  /** When the last beat was sent that came back over this subscription. */
  #beatAt = Number.NEGATIVE_INFINITY;

  constructor(node: Redis, events: NodeEvents) {
    this.#subscriber = node.duplicate(subscriberOptions);
    this.#subscriber.on('message', (channel: string, message: string) => {
      if (channel === CHANGES) return events.changed(message);
      this.#beatAt = Math.max(this.#beatAt, Number(message));
      events.beaten();
    });
    this.#subscriber.on('close', () => {
      this.#beatAt = Number.NEGATIVE_INFINITY;
      events.lost();
    });
    // The commands' own connection reports what is wrong with Redis.
    this.#subscriber.on('error', () => {});
    this.#subscriber.subscribe(CHANGES, this.#channel).catch(() => {});
    this.#timer = setInterval(() => {
      events.beat(node, this.#channel).catch(() => {});
    }, BEAT_MS);
  }

  get beatAt(): number {
    return this.#beatAt;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#subscriber.disconnect();
  }
}
