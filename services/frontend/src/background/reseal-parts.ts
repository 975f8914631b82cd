import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { assertSameHolders, holdersOf, NamesMissedError, nodesInOrder, scanNames } from '@keyfleet/shared/redis/nodes';
import { readShortFieldBytes } from '@keyfleet/shared/redis/stored-values';
import {
  PROGRESS_BYTES,
  reportField,
  type ResealItem,
  type ShardReport,
  shardReportOf,
} from '@keyfleet/shared/reseal-queue';
import { ALL_NAMES, resealProgressAt } from '@keyfleet/shared/stored/names';
import { z } from 'zod';

/** What was found in one part of the key space. */
export interface Found {
  /** Tokens that were sealed under an older domain key and are now sealed under the active one. */
  readonly resealed: number;
  /** Tokens still sealed under an older domain key. */
  readonly remaining: number;
}

/**
 * The key space, traversed once in each pass. Everyone working on a shard of the pass takes the next part from the
 * front, so no name is looked at twice and faster workers do more. A name that exists throughout the pass is in at
 * least one part.
 */
export interface Parts {
  /**
   * Undefined when the shard needs no work: the pass is over or has no such shard, or the shard has had all of its
   * parts.
   */
  open(item: ResealItem): Promise<ShardParts | undefined>;
}

/** The parts of one shard, for one worker at a time. Once another worker takes the shard, every call here throws. */
export interface ShardParts {
  /**
   * Reports what was found in the previous part and takes the next one: names. `missed` if another worker took that
   * first: nothing is reported yet, and what was found is kept for the next call. Undefined after the last; then the
   * shard is done.
   */
  next(found: Found): Promise<readonly string[] | 'missed' | undefined>;
  /** Reports what was found in the previous part and leaves the rest to others. */
  leave(found: Found): Promise<void>;
}

/**
 * Another worker has this shard now, or the pass is over. The work done still counts, and nothing more is to be done.
 */
export class OvertakenError extends Error {
  override name = 'OvertakenError';
}

/** A few seconds of work; after each part, others see that this shard is alive. */
const PART_NAMES = 5_000;

/** A Redis Cluster has at most a thousand masters, and what names one 40 characters. */
const FRONT_BYTES = 64 * 1024;

/**
 * KEYS: progress. ARGV: pass, a shard's field, its report as read and as it should become; then, to take a part, the
 * field of the front, the front as read and as it should become. What was read are bytes: somebody may have put there
 * what is no text. What is too long to be read is as if it were not there, and is replaced.
 */
const ADVANCE = `
local function stored(field, most)
  return redis.call('HSTRLEN', KEYS[1], field) <= most and redis.call('HGET', KEYS[1], field) or ''
end
if redis.call('HGET', KEYS[1], 'pass') ~= ARGV[1] then return 'overtaken' end
if stored(ARGV[2], ${PROGRESS_BYTES}) ~= ARGV[3] then return 'overtaken' end
if ARGV[5] then
  if stored(ARGV[5], ${FRONT_BYTES}) ~= ARGV[6] then return 'missed' end
  redis.call('HSET', KEYS[1], ARGV[5], ARGV[7])
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
return 'done'`;

/** Where the first untaken part begins; `node` is one past the last when all parts are taken. */
const Front = z.object({
  runIds: z.array(z.string()),
  node: z.int().min(0),
  cursor: z.string().regex(/^\d{1,20}$/),
});
type Front = z.output<typeof Front>;

/** All parts are taken. */
const END: Front = { runIds: [], node: 0, cursor: '0' };

const NONE = Buffer.alloc(0);

/** Undefined for anything else: whoever can write to Redis may have put it there. */
function frontOf(stored: Buffer): Front | undefined {
  try {
    return Front.parse(JSON.parse(stored.toString()));
  } catch {
    return undefined;
  }
}

/**
 * Parts are taken by SCAN, and the front is its next cursor, so the whole pass is one iteration, whoever makes the
 * steps.
 */
export class RedisParts implements Parts {
  readonly #client: RedisClient;
  readonly #domain: string;

  constructor(client: RedisClient, domain: string) {
    this.#client = client;
    this.#domain = domain;
  }

  async open(item: ResealItem): Promise<ShardParts | undefined> {
    const parts = new RedisShardParts(this.#client, resealProgressAt(this.#domain, item.generation), item);
    return (await parts.begin()) ? parts : undefined;
  }
}

class RedisShardParts implements ShardParts {
  readonly #client: RedisClient;
  readonly #key: string;
  readonly #pass: string;
  readonly #shard: number;
  readonly #field: string;
  readonly #frontField: string;
  #report: ShardReport = { resealed: 0, remaining: 0, parts: 0, standing: 'between' };
  /** The report as stored. */
  #stored: Buffer = NONE;

  constructor(client: RedisClient, key: string, item: ResealItem) {
    this.#client = client;
    this.#key = key;
    this.#pass = String(item.pass);
    this.#shard = item.shard;
    this.#field = reportField(item);
    this.#frontField = `${item.pass}:front`;
  }

  async begin(): Promise<boolean> {
    const { pass, shards, report } = await this.#read();
    // Anyone who can write to NATS may name a shard. Findings for a shard that nobody counts would be missing from the
    // proof that nothing is left.
    if (this.#shard >= shards) return false;
    this.#stored = report;
    const read = report.length === 0 ? this.#report : shardReportOf(report.toString());
    if (read !== undefined) this.#report = read;
    // A worker that took a part and did not report on it is gone, or its report was overwritten. That part was not
    // examined, so the pass proves nothing.
    if (read === undefined || read.standing === 'in-part') this.#add({ resealed: 0, remaining: 1 });
    return pass === this.#pass && this.#report.standing !== 'done';
  }

  async next(found: Found): Promise<readonly string[] | 'missed' | undefined> {
    this.#add(found);
    const stored = await this.#readFront();
    const { names, front, lost = 0 } = await this.#step(stored);
    const standing = names === undefined ? 'done' : 'in-part';
    const { resealed, remaining, parts } = this.#report;
    const report = {
      resealed,
      remaining: remaining + lost,
      parts: parts + (names === undefined ? 0 : 1),
      standing,
    } as const;
    return (await this.#advance(report, this.#frontField, stored, front)) ? names : 'missed';
  }

  async leave(found: Found): Promise<void> {
    this.#add(found);
    await this.#advance({ ...this.#report, standing: 'between' });
  }

  /**
   * The next part and the front after it. No names if all parts are taken, or if it is no longer known where the next
   * begins.
   */
  async #step(stored: Buffer): Promise<{ names?: readonly string[]; front: string | Buffer; lost?: number }> {
    try {
      const front = frontOf(stored) ?? { runIds: await holdersOf(this.#client), node: 0, cursor: '0' };
      if (front.node >= front.runIds.length) return { front: stored };
      const part = await this.#scan(front);
      await assertSameHolders(this.#client, front.runIds);
      return { names: part.names, front: JSON.stringify(part.front) };
    } catch (error) {
      if (!(error instanceof NamesMissedError)) throw error;
      // There is no telling what the rest would miss. So this pass ends here and proves nothing.
      return { front: JSON.stringify(END), lost: 1 };
    }
  }

  async #scan(front: Front): Promise<{ names: readonly string[]; front: Front }> {
    const names = new Set<string>();
    const node = nodesInOrder(this.#client)[front.node];
    let { cursor } = front;
    do {
      const [next, found] = node === undefined ? ['0', [] as string[]] : await scanNames(node, cursor, ALL_NAMES);
      cursor = next;
      for (const name of found) names.add(name);
    } while (cursor !== '0' && names.size < PART_NAMES);
    return { names: [...names], front: { ...front, cursor, node: front.node + (cursor === '0' ? 1 : 0) } };
  }

  /**
   * `front`: its field, as it was read and as it should become. False if it has moved meanwhile. Throws OvertakenError
   * if the shard or the pass is no longer ours.
   */
  async #advance(report: ShardReport, ...front: readonly (string | Buffer)[]): Promise<boolean> {
    const next = Buffer.from(JSON.stringify(report));
    const parts = [this.#pass, this.#field, this.#stored, next, ...front];
    const outcome = await this.#client.eval(ADVANCE, 1, this.#key, ...parts);
    if (outcome === 'overtaken') throw new OvertakenError('another frontend works on this shard');
    if (outcome === 'missed') return false;
    this.#report = report;
    this.#stored = next;
    return true;
  }

  #add({ resealed, remaining }: Found): void {
    const { resealed: before, remaining: left } = this.#report;
    this.#report = { ...this.#report, resealed: before + resealed, remaining: left + remaining };
  }

  async #readFront(): Promise<Buffer> {
    const options = { maxBytes: FRONT_BYTES, fields: [this.#frontField] };
    return (await readShortFieldBytes(this.#client, this.#key, options)).get(this.#frontField) ?? NONE;
  }

  async #read(): Promise<{ pass: string; shards: number; report: Buffer }> {
    const options = { maxBytes: PROGRESS_BYTES, fields: ['pass', 'shards', this.#field] };
    const found = await readShortFieldBytes(this.#client, this.#key, options);
    const bytesOf = (field: string): Buffer => found.get(field) ?? NONE;
    return {
      pass: bytesOf('pass').toString(),
      shards: Number(bytesOf('shards').toString()),
      report: bytesOf(this.#field),
    };
  }
}
