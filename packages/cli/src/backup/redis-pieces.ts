import type { RedisClient } from '@keyfleet/shared/redis/connect';
import {
  DamagedValueError,
  readEachField,
  readElements,
  readString,
  SHOWN_NAME,
  unlessDamaged,
} from '@keyfleet/shared/redis/stored-values';
import { isStoreId } from '@keyfleet/shared/redis/store-id';
import { isOfKind, storedValueOf } from '@keyfleet/shared/stored/names';
import type { LeaveOut } from '../left-out.ts';
import { LIST_PIECE, type ListPiece, type Piece } from './format.ts';
import { pagesOfHash } from './hash-pages.ts';
import type { TokenChains } from './sound-tokens.ts';

/** Names of ours are short, and lines of a backup begin with the name. */
const PLAIN_NAME = /^[ !#-[\]-~]{1,250}$/;

/**
 * The value of a name, in pieces; none if it is gone by now. A hash of few fields is read in one step. What no service
 * stores there is left out: of another type than its kind's, or too long.
 */
export async function* readPieces(redis: RedisClient, name: string, leaveOut: LeaveOut): AsyncGenerator<Piece> {
  if (!PLAIN_NAME.test(name)) {
    leaveOut(`${name.slice(0, SHOWN_NAME)} (no name of Keyfleet's)`);
    return;
  }
  try {
    yield* piecesOf(redis, name, leaveOut);
  } catch (error) {
    if (!(error instanceof DamagedValueError)) throw error;
    leaveOut(error.message);
  }
}

async function* piecesOf(redis: RedisClient, name: string, leaveOut: LeaveOut): AsyncGenerator<Piece> {
  const type = storedValueOf(name)?.type ?? (await redis.type(name));
  if (type === 'string') {
    const value = await readString(redis, name);
    if (value !== undefined) yield { name, type, value: base64(value) };
  } else if (type === 'hash') {
    yield* hashPieces(redis, name, leaveOut);
  } else if (type === 'list') {
    yield* listPieces(redis, name);
  } else if (type !== 'none') {
    leaveOut(`${name} (of the Redis type ${type}, which no backup has)`);
  }
}

async function* hashPieces(redis: RedisClient, name: string, leaveOut: LeaveOut): AsyncGenerator<Piece> {
  let from = 0;
  for await (const page of pagesOfHash(redis, name, leaveOut)) {
    const sound = page.filter(([field, value]) => !isOtherId(name, field, value));
    if (sound.length < page.length) leaveOut(`${name} id (no identity of a store)`);
    const fields = sound.map(([field, value]) => [field, base64(value)] as const);
    if (fields.length > 0) yield { name, type: 'hash', ...fromOf(from), value: Object.fromEntries(fields) };
    from += fields.length;
  }
}

async function* listPieces(redis: RedisClient, name: string): AsyncGenerator<Piece> {
  for (let from = 0; ; from += LIST_PIECE) {
    const items = await readElements(redis, name, from, from + LIST_PIECE - 1);
    if (items.length > 0) yield { name, type: 'list', ...fromOf(from), value: items.map(base64) };
    if (items.length < LIST_PIECE) return;
  }
}

/** In the place of a store's identity. */
function isOtherId(name: string, field: string, value: Buffer): boolean {
  return field === 'id' && isOfKind(name, 'store') && !isStoreId(value.toString());
}

function fromOf(from: number): { from?: number } {
  return from === 0 ? {} : { from };
}

/**
 * A domain-manager that kept running stores these tokens again, and newer ones: only missing ones are added. ARGV:
 * from, values.
 */
const FILL_LIST = `
for i = 2, #ARGV do
  if redis.call('LLEN', KEYS[1]) == tonumber(ARGV[1]) + i - 2 then redis.call('RPUSH', KEYS[1], ARGV[i]) end
end`;

/** May be repeated. */
export async function writePiece(redis: RedisClient, piece: Piece): Promise<void> {
  const { name } = piece;
  switch (piece.type) {
    case 'string':
      await redis.set(name, bytes(piece.value));
      return;
    case 'hash': {
      const fields = Object.entries(piece.value).map(([field, text]) => [field, bytes(text)] as const);
      await redis.hset(name, Object.fromEntries(fields));
      return;
    }
    case 'list':
      await redis.eval(FILL_LIST, 1, name, String(piece.from ?? 0), ...piece.value.map(bytes));
  }
}

/** One member of a value in Redis; a string has a single one, without a name. */
export interface Member {
  readonly member: string;
  /** Whether it is as it should be. */
  readonly isSame: boolean;
  readonly found: Buffer | null;
}

/** Each member of a sound piece as it is in Redis. A list there may have grown. `chains`: of the same backup. */
export async function readBack(redis: RedisClient, piece: Piece, chains: TokenChains): Promise<Member[]> {
  const there = await readMembers(redis, piece);
  const before = piece.type === 'list' ? await elementBefore(redis, piece) : undefined;
  return membersOf(piece).map(([member, text], i) => {
    const [expected, found = null] = [bytes(text), there[i]];
    const isSameToken = (token: Buffer) =>
      piece.type === 'list' &&
      chains.isSame(piece.name, { expected, found: token, before: i === 0 ? before : there[i - 1]! });
    return { member, isSame: found !== null && (found.equals(expected) || isSameToken(found)), found };
  });
}

/** What is in front of the piece in Redis. */
async function elementBefore(redis: RedisClient, { from = 0, ...piece }: ListPiece): Promise<Buffer | undefined> {
  if (from === 0) return undefined;
  const [before] = await readMembers(redis, { ...piece, from: from - 1, value: piece.value.slice(0, 1) });
  return before ?? undefined;
}

/** Each with its value. */
export function membersOf(piece: Piece): [string, string][] {
  switch (piece.type) {
    case 'string':
      return [['', piece.value]];
    case 'hash':
      return Object.entries(piece.value);
    case 'list':
      return piece.value.map((text, i) => [String((piece.from ?? 0) + i), text]);
  }
}

/** In the same order; null or missing if absent. So is what no service stores there: it is not even read. */
export async function readMembers(redis: RedisClient, { name, ...piece }: Piece): Promise<(Buffer | null)[]> {
  try {
    switch (piece.type) {
      case 'string':
        return [(await readString(redis, name)) ?? null];
      case 'hash': {
        const values = await readEachField(redis, name, Object.keys(piece.value));
        return values.map((value) => (Buffer.isBuffer(value) ? value : null));
      }
      case 'list': {
        const from = piece.from ?? 0;
        return await readElements(redis, name, from, from + piece.value.length - 1);
      }
    }
  } catch (error) {
    unlessDamaged(error);
    return [];
  }
}

function base64(value: Buffer): string {
  return value.toString('base64');
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'base64');
}
