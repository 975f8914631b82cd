import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { fewAtOnce } from '@keyfleet/shared/few-at-once';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { readAhead } from '@keyfleet/shared/read-ahead';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { DamagedValueError, RECORDS_AT_ONCE } from '@keyfleet/shared/redis/stored-values';
import { z } from 'zod';
import type { Progress } from './progress.ts';
import { pagesOfAllNames } from './redis-option.ts';
import { loadTokens } from './stored-tokens.ts';

export interface Census {
  /** How many tokens are sealed under each domain key, by its id. */
  readonly byDomainKey: ReadonlyMap<string, number>;
  /** Names of values that should hold tokens but cannot be read. */
  readonly damaged: readonly string[];
}

/** Reads all of Redis. The domain key that a token names is only a claim; nobody but a member can open it. */
export async function countTokens(redis: RedisClient, progress: Progress): Promise<Census> {
  const byDomainKey = new Map<string, number>();
  const damaged = new Set<string>();
  let values = 0;
  for await (const names of readAhead(pagesOfTokens(redis))) {
    for (const [name, ids] of names) {
      if (ids === undefined) damaged.add(name);
      else for (const id of ids) byDomainKey.set(id, (byDomainKey.get(id) ?? 0) + 1);
    }
    values += names.length;
    progress.tell(() => `${values} values checked`);
  }
  return { byDomainKey, damaged: [...damaged] };
}

/** What to do about them, and the names of the first. */
export function damagedText(damaged: readonly string[]): string {
  return `${damaged.length} values are damaged (${damaged.slice(0, 3).join(', ')}): restore them from a backup`;
}

/** Names, each with the ids of the domain keys that its tokens claim; undefined if they cannot be read. */
async function* pagesOfTokens(redis: RedisClient): AsyncGenerator<(readonly [string, string[] | undefined])[]> {
  for await (const names of pagesOfAllNames(redis)) {
    yield await fewAtOnce(names, RECORDS_AT_ONCE, async (name) => [name, await domainKeysAt(redis, name)] as const);
  }
}

const unreadable = [z.ZodError, SyntaxError, FormatError, DamagedValueError] as const;

async function domainKeysAt(redis: RedisClient, name: string): Promise<string[] | undefined> {
  try {
    return (await loadTokens(redis, name)).map(({ token }) => domainKeyIdOf(token));
  } catch (error) {
    if (unreadable.some((kind) => error instanceof kind)) return undefined;
    throw error;
  }
}
