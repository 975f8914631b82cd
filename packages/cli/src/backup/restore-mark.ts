import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { CliError } from '../cli-error.ts';
import { readShortFields } from '@keyfleet/shared/redis/stored-values';
import { isOfKind, RESTORE } from '@keyfleet/shared/stored/names';
import { pagesOfAllNames } from '../redis-option.ts';
import type { Piece } from './format.ts';
import type { Whole } from './reader.ts';
import { readBack } from './redis-pieces.ts';
import type { TokenChains } from './sound-tokens.ts';
import { isKept } from './stages.ts';

/** A SHA-256 in hexadecimal digits; a number has fewer. */
const MARK_BYTES = 64;

/** Marks a restore in Redis, so that an interrupted one is recognized and continues. */
export class RestoreMark {
  readonly #redis: RedisClient;
  readonly #sha256: string;
  /** The number of pieces written; undefined if no restore was begun here. */
  readonly done: number | undefined;
  /** Whether all of it was compared. From then on, what does not belong together is taken out of Redis again. */
  readonly isCompared: boolean;

  private constructor(
    redis: RedisClient,
    sha256: string,
    { done, isCompared }: Pick<RestoreMark, 'done' | 'isCompared'>,
  ) {
    this.#redis = redis;
    this.#sha256 = sha256;
    this.done = done;
    this.isCompared = isCompared;
  }

  /** Throws CliError if the restore of another backup was begun in this Redis. */
  static async find(redis: RedisClient, { sha256 }: Whole): Promise<RestoreMark> {
    const fields = ['backup', 'done', 'compared'] as const;
    const found = await readShortFields(redis, RESTORE, { maxBytes: MARK_BYTES, fields });
    const [backup, done, compared] = fields.map((field) => found.get(field));
    if (backup !== undefined && backup !== sha256) {
      throw new CliError(
        'the restore of another backup into this Redis was interrupted: finish that one, or empty this Redis.',
      );
    }
    const isBegun = backup !== undefined;
    return new RestoreMark(redis, sha256, { done: isBegun ? Number(done) : undefined, isCompared: compared === '1' });
  }

  async put(done: number): Promise<void> {
    await this.#redis.hset(RESTORE, { backup: this.#sha256, done });
  }

  async putCompared(): Promise<void> {
    await this.#redis.hset(RESTORE, { compared: 1 });
  }

  async remove(): Promise<void> {
    await this.#redis.del(RESTORE);
  }
}

/**
 * Throws CliError if this Redis contains anything that backups keep. The exception: a domain-manager that kept running
 * has put back the domain tokens, with newer ones, which members need. So there may be a list of tokens that begins
 * like the backup's, which is in its sound `pieces`.
 */
export async function assertEmpty(
  redis: RedisClient,
  pieces: AsyncIterable<Piece>,
  chains: TokenChains,
): Promise<void> {
  let values = 0;
  const lists = new Set<string>();
  for await (const names of pagesOfAllNames(redis)) {
    for (const name of names.filter(isKept)) {
      if (isOfKind(name, 'tokens')) lists.add(name);
      else values++;
    }
  }
  if (values === 0 && lists.size > 0) values = lists.size - (await countThatGoOn(redis, lists, pieces, chains));
  if (values > 0) throw new CliError(`this Redis holds ${values} Keyfleet values already: restore into an empty one.`);
}

async function countThatGoOn(
  redis: RedisClient,
  lists: ReadonlySet<string>,
  pieces: AsyncIterable<Piece>,
  chains: TokenChains,
): Promise<number> {
  const goOn = new Map<string, boolean>();
  for await (const piece of pieces) {
    if (!lists.has(piece.name)) continue;
    const members = await readBack(redis, piece, chains);
    goOn.set(piece.name, members.every(({ isSame }) => isSame) && goOn.get(piece.name) !== false);
  }
  return [...goOn.values()].filter(Boolean).length;
}
