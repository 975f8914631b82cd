import type { ResealItem } from '@keyfleet/shared/reseal-queue';

/** What was found in a part of the key space. */
export interface Found {
  /** Tokens that were under an older domain key and are now under the active one. */
  readonly resealed: number;
  /** Tokens that still are under an older one. */
  readonly remaining: number;
}

/**
 * The key space, gone over once in each pass: everybody who works on a shard of the pass takes the next part from its front, so that no
 * name is looked at twice and whoever is faster does more. A name that is there all the time is in at least one part.
 */
export interface Parts {
  /** Undefined when nothing is to be done for the shard: the pass is over, or it has had all of its parts. */
  open(item: ResealItem): Promise<ShardParts | undefined>;
}

/** The parts of one shard, for one worker at a time: another one who takes the shard later makes every call of this one throw. */
export interface ShardParts {
  /** Reports what was found in the part before and takes the next one: names. Undefined after the last; then the shard is done. */
  next(found: Found): Promise<readonly string[] | undefined>;
  /** Reports what was found in the part before, and leaves the rest to others. */
  leave(found: Found): Promise<void>;
}

/** Somebody else works on this shard now, or the pass is over: what was done was not in vain, and nothing more is to do. */
export class OvertakenError extends Error {
  override name = 'OvertakenError';
}
