import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { readAhead } from '@keyfleet/shared/read-ahead';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { z } from 'zod';
import type { Progress } from './progress.ts';
import { pagesOfAllNames } from './redis-option.ts';

/** Of the frontends' records only what holds something sealed. */
const KeyRecord = z.object({ backingKeys: z.array(z.object({ token: z.base64() })) });
const AccessKeyRecord = z.object({ token: z.base64() });

export interface Census {
  /** How many tokens are sealed under each domain key, by its id. */
  readonly byDomainKey: ReadonlyMap<string, number>;
  /** Names of values that should hold tokens and cannot be read. */
  readonly damaged: readonly string[];
}

/** Goes over all of Redis. What a token says of its domain key is a claim; only a member can open it. */
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
    progress.tell(() => `${values} values are looked at`);
  }
  return { byDomainKey, damaged: [...damaged] };
}

/** Names, each with the ids of the domain keys that its tokens claim; undefined when they cannot be read. */
async function* pagesOfTokens(redis: RedisClient): AsyncGenerator<(readonly [string, string[] | undefined])[]> {
  for await (const names of pagesOfAllNames(redis)) {
    yield await Promise.all(names.map(async (name) => [name, await domainKeysAt(redis, name)] as const));
  }
}

async function domainKeysAt(redis: RedisClient, name: string): Promise<string[] | undefined> {
  try {
    return (await tokensAt(redis, name)).map(domainKeyIdOf);
  } catch (error) {
    if (error instanceof z.ZodError || error instanceof SyntaxError || error instanceof FormatError) return undefined;
    throw error;
  }
}

async function tokensAt(redis: RedisClient, name: string): Promise<Buffer[]> {
  const kind = /^kf:(key|access-key|secret):/.exec(name)?.[1];
  if (kind === 'key') {
    const record = await redis.hget(name, 'record');
    return record === null ? [] : KeyRecord.parse(JSON.parse(record)).backingKeys.map(({ token }) => bytesOf(token));
  }
  if (kind === 'access-key') {
    const record = await redis.get(name);
    return record === null ? [] : [bytesOf(AccessKeyRecord.parse(JSON.parse(record)).token)];
  }
  const sealed = kind === 'secret' ? await redis.getBuffer(name) : null;
  return sealed === null ? [] : [sealed];
}

function bytesOf(base64: string): Buffer {
  return Buffer.from(base64, 'base64');
}
