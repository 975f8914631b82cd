import { randomUUID } from 'node:crypto';
import { Cluster, type Redis, type RedisOptions } from 'ioredis';
import { connectAgain, mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import { BEAT, beatChannel, CHANGES, type Scope } from '@keyfleet/shared/stored/names';
import { Beats } from './beats.ts';
import type { Trust } from './read-cache.ts';

/** The name of a change to a key; a cache keeps the key under the same name. */
export function keyName(region: string, keyId: string): string {
  return `key ${region}/${keyId}`;
}

export function aliasName({ accountId, region }: Scope, name: string): string {
  return `alias ${accountId}/${region}/${name}`;
}

/** The change when a principal gains or loses any grant on a key: covers all of that principal's grants. */
export function grantsName({ region, keyId }: { region: string; keyId: string }, grantee: string): string {
  return `grants ${region}/${keyId} ${grantee}`;
}

/** The change to any custom key store in one account's Region. */
export function keyStoresName({ accountId, region }: Scope): string {
  return `key-stores ${accountId}/${region}`;
}

/** The change to any of an account's IAM records: an identity's permissions are put together from many of them. */
export function iamChangeOf(accountId: string): string {
  return `${IAM}${accountId}`;
}

export function accountOfIamChange(name: string): string | undefined {
  return name.startsWith(IAM) ? name.slice(IAM.length) : undefined;
}

const IAM = 'iam ';

/** The id under which a record's revisions are acknowledged, for records whose own id is never reused. */

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
/** For this long after a beat was sent, its return proves that no change was missed. */
const TRUST_MS = 1_000;

/** If this were shorter, a hiccup would refuse reads. */
const SHORTEST_BELIEF_MS = 2_000;

export interface ChangeListener {
  /** The item with this name has changed. */
  changed(name: string): void;
}

interface ChangeFeedOptions {
  /** For how long the state last known for certain may be used after changes stop arriving reliably; 0: not at all. */
  readonly serveStaleMs: number;
  /** Whether Redis may be replaced by a replica, so that only a write shows that it was not. */
  readonly beatsAreWrites: () => boolean;
}

/** Where a cache hears of changes, and whether it hears all of them. */
export interface Changes extends Trust {
  /** Changes no longer arrive, and what was known when they last did may be used for a while. */
  readonly servesLastKnown: boolean;
  /** Whether the store can be asked now. */
  readonly connected: boolean;
  listen(listener: ChangeListener): void;
}

/**
 * Hears of every change that any frontend makes. Redis delivers in order, so when this frontend's own beat returns,
 * everything published before it has been heard. The feed can be trusted for one second after a beat was sent, and no
 * longer without a newer one.
 */
export class ChangeFeed implements Changes, AsyncDisposable {
  readonly #client: RedisClient;
  readonly #options: ChangeFeedOptions;
  readonly #listeners: ChangeListener[] = [];
  #nodes: readonly NodeFeed[] = [];
  #epoch = 0;
  /** When changes were last sure to be heard (`performance.now()`), and in which epoch. */
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

  get connected(): boolean {
    return this.#client.status === 'ready';
  }

  get servesLastKnown(): boolean {
    return !this.trusted && this.isLastKnown(this.#proven.epoch);
  }

  /**
   * Whether reads can be believed: a deposed master goes on answering from its old state. Where beats are writes, it
   * does not beat for long.
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

  /** In a Cluster, each node that takes writes is followed separately: messages between nodes may be lost. */
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
    beat: (node, channel, beat) => this.#beat(node, channel, beat),
  };

  /** Only a node that is still a master beats: one that may write, or that the rest of its Cluster agrees with. */
  async #beat(node: Redis, channel: string, beat: string): Promise<void> {
    if (this.#client instanceof Cluster) {
      if (String(await node.cluster('INFO')).includes('cluster_state:ok')) await node.publish(channel, beat);
    } else if (this.#options.beatsAreWrites()) await node.eval(WRITTEN_BEAT, 1, BEAT, channel, beat);
    else await node.publish(channel, beat);
  }
}

/**
 * KEYS: any that is not there. ARGV: channel, message. A Redis whose memory is full takes a deletion, which is a write,
 * and so is believed and read.
 */
const WRITTEN_BEAT = `
redis.call('UNLINK', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])`;

const subscriberOptions: Partial<RedisOptions> = {
  // After its subscription is answered, the connection carries beats. They show whether it is alive, so no timeout is
  // needed.
  commandTimeout: undefined,
  socketTimeout: undefined,
  enableAutoPipelining: false,
  // A node of a Cluster connects when it is first asked something.
  lazyConnect: false,
  // ioredis forgets a subscription that it had not yet sent when it gave up connecting. So each connection subscribes.
  autoResubscribe: false,
  readOnly: false,
  retryStrategy: (attempt) => Math.min(50 * attempt, BEAT_MS),
};

interface NodeEvents extends ChangeListener {
  /** Changes may have been missed. */
  lost(): void;
  /** A beat returned. */
  beaten(): void;
  beat(node: Redis, channel: string, beat: string): Promise<void>;
}

class NodeFeed {
  readonly #subscriber: Redis;
  readonly #goingOn: Disposable;
  readonly #timer: NodeJS.Timeout;
  readonly #channel = beatChannel(randomUUID());
  /** Those that return over this subscription. */
  readonly #beats = new Beats();

  constructor(node: Redis, events: NodeEvents) {
    this.#subscriber = node.duplicate(subscriberOptions);
    this.#goingOn = connectAgain(this.#subscriber);
    this.#subscriber.on('message', (channel: string, message: string) => {
      if (channel === CHANGES) return events.changed(message);
      if (this.#beats.returned(message)) events.beaten();
    });
    this.#subscriber.on('close', () => {
      this.#beats.lost();
      events.lost();
    });
    // The commands' own connection reports problems with Redis.
    this.#subscriber.on('error', () => {});
    this.#subscriber.on('ready', () => {
      this.#subscriber.subscribe(CHANGES, this.#channel).catch(() => {});
    });
    this.#timer = setInterval(() => {
      events.beat(node, this.#channel, this.#beats.send()).catch(() => {});
    }, BEAT_MS);
  }

  get beatAt(): number {
    return this.#beats.lastAt;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#goingOn[Symbol.dispose]();
    this.#subscriber.disconnect();
  }
}
