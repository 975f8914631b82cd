import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CliError } from './cli-error.ts';

/**
 * A backup is text: a head, one JSON line per stored value, and a last line with the count and the SHA-256 of everything before it.
 * All secrets in it are sealed under domain keys, and the domain tokens in it are sealed for the members.
 */
const HEAD = '{"keyfleet":"backup","version":1}';

/** Byte strings are base64. */
const StoredValue = z.discriminatedUnion('type', [
  z.strictObject({ name: z.string(), type: z.literal('string'), value: z.base64() }),
  z.strictObject({ name: z.string(), type: z.literal('hash'), value: z.record(z.string(), z.base64()) }),
  z.strictObject({ name: z.string(), type: z.literal('list'), value: z.array(z.base64()) }),
  z.strictObject({ name: z.string(), type: z.literal('zset'), value: z.array(z.tuple([z.string(), z.string()])) }),
]);
export type StoredValue = z.output<typeof StoredValue>;

const Tail = z.strictObject({ count: z.int(), sha256: z.string() });

/**
 * What lives only for a while. Progress of resealing above all: restored, it would be the proof of something that the older
 * records beside it are not.
 */
const passing = /^kf:beat$|^kf:domain:\{.*\}:(lease|confirmed|proposals|proposal:.*|reseal:.*)$/;
const tokens = /^kf:domain:\{.*\}:tokens$/;

export function isTokenList(name: string): boolean {
  return tokens.test(name);
}

export function isBackedUp(name: string): boolean {
  return name.startsWith('kf:') && !passing.test(name);
}

/** At once: one after the other, the way to Redis and back would be most of the time. */
const BATCH = 128;

/** What is gone meanwhile is left out. */
export async function readValues(redis: RedisClient, names: readonly string[]): Promise<StoredValue[]> {
  const values: StoredValue[] = [];
  for (let from = 0; from < names.length; from += BATCH) {
    const batch = await Promise.all(names.slice(from, from + BATCH).map((name) => readValue(redis, name)));
    values.push(...batch.filter((value) => value !== undefined));
  }
  return values;
}

/** Throws CliError when one of them is not in Redis as it should be afterwards. */
export async function writeValues(redis: RedisClient, values: readonly StoredValue[]): Promise<void> {
  for (let from = 0; from < values.length; from += BATCH) {
    await Promise.all(values.slice(from, from + BATCH).map((value) => writeValue(redis, value)));
  }
  const written = new Map(
    (
      await readValues(
        redis,
        values.map(({ name }) => name),
      )
    ).map((value) => [value.name, value]),
  );
  const wrong = values.find((value) => !isRestored(written.get(value.name), value));
  if (wrong !== undefined) throw new CliError(`${wrong.name} is not what the backup says.`);
}

/** Undefined when it is gone meanwhile. */
async function readValue(redis: RedisClient, name: string): Promise<StoredValue | undefined> {
  const type = await redis.type(name);
  const base64 = (value: Buffer): string => value.toString('base64');
  switch (type) {
    case 'none':
      return undefined;
    case 'string': {
      const value = await redis.getBuffer(name);
      return value === null ? undefined : { name, type, value: base64(value) };
    }
    case 'hash': {
      // Sorted: Redis gives the fields of a large hash in no order.
      const fields = Object.entries(await redis.hgetallBuffer(name)).toSorted(([a], [b]) => (a < b ? -1 : 1));
      return { name, type, value: Object.fromEntries(fields.map(([field, value]) => [field, base64(value)])) };
    }
    case 'list':
      return { name, type, value: (await redis.lrangeBuffer(name, 0, -1)).map(base64) };
    case 'zset': {
      const flat = await redis.zrange(name, 0, '-1', 'WITHSCORES');
      const value = flat.flatMap((member, i) => (i % 2 === 0 ? [[member, flat[i + 1]!] as [string, string]] : []));
      return { name, type, value };
    }
    default:
      throw new CliError(`${name} in Redis has the type ${type}, which nothing of Keyfleet has.`);
  }
}

/** Not if it is there: a domain-manager that kept running has stored the tokens again, and newer ones. */
const FILL_LIST = `
if redis.call('EXISTS', KEYS[1]) == 1 then return end
for _, value in ipairs(ARGV) do redis.call('RPUSH', KEYS[1], value) end`;

/** Whether what is in Redis is what the backup says; a list may have gone on. */
export function isRestored(written: StoredValue | undefined, stored: StoredValue): boolean {
  const goesOn = written?.type === 'list' && stored.type === 'list';
  const begun = goesOn ? { ...written, value: written.value.slice(0, stored.value.length) } : written;
  return JSON.stringify(begun) === JSON.stringify(stored);
}

async function writeValue(redis: RedisClient, stored: StoredValue): Promise<void> {
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
  const { name } = stored;
  switch (stored.type) {
    case 'string':
      await redis.set(name, bytes(stored.value));
      return;
    case 'hash':
      await redis.hset(
        name,
        Object.fromEntries(Object.entries(stored.value).map(([field, text]) => [field, bytes(text)])),
      );
      return;
    case 'list':
      await redis.eval(FILL_LIST, 1, name, ...stored.value.map(bytes));
      return;
    case 'zset':
      await redis.zadd(name, ...stored.value.flatMap(([member, score]) => [score, member]));
  }
}

export function formatBackup(values: readonly StoredValue[]): string {
  const body = [HEAD, ...values.map((value) => JSON.stringify(value))].map((line) => `${line}\n`).join('');
  return `${body}${JSON.stringify({ count: values.length, sha256: sha256(body) } satisfies z.input<typeof Tail>)}\n`;
}

/** Throws CliError for a backup that is cut, changed, or none. */
export function parseBackup(text: string): StoredValue[] {
  const lines = text.split('\n').slice(0, -1);
  const [head, ...rest] = lines;
  const last = rest.pop();
  if (head !== HEAD || last === undefined) throw new CliError('this is not a backup of Keyfleet, or it is cut off.');
  const body = [head, ...rest].map((line) => `${line}\n`).join('');
  try {
    const tail = Tail.parse(JSON.parse(last));
    if (tail.count !== rest.length || tail.sha256 !== sha256(body)) throw new Error('another digest');
    return rest.map((line) => StoredValue.parse(JSON.parse(line)));
  } catch (cause) {
    throw new CliError('the backup is damaged: it is cut off, or was changed after it was made.', { cause });
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
