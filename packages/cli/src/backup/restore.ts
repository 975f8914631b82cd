import { readAhead } from '@keyfleet/shared/read-ahead';
import { mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import { type GrantedKey, keyOfGrants } from '@keyfleet/shared/stored/grants';
import { isOfKind, type Scope, scopeOf, storedNameOf } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';
import type { Progress } from '../progress.ts';
import { DerivedLists, type Flaws } from './derived.ts';
import type { Piece } from './format.ts';
import { assertEmpty, RestoreMark } from './restore-mark.ts';
import { readPieces, verifyBackup, type Whole } from './reader.ts';
import { type Member, readBack, writePiece } from './redis-pieces.ts';

/** Pieces, and characters in them, that are written or compared at once. */
const SLICE = 200;
const SLICE_LENGTH = 1 << 19;
/** A member that SCAN returned twice, and that changed in between, is in the backup twice; the later one counts. */
const MAX_CHANGED = 10_000;
const REPLICATION_MS = 500;
const REPLICATION_TRIES = 60;

export interface Restore {
  readonly path: string;
  /** How many replicas must have it before it counts as restored. */
  readonly replicas: number;
  readonly progress: Progress;
}

export interface Restored extends Whole, Flaws {}

/**
 * Writes a backup into an empty Redis, compares all of it with what is there afterwards, and builds the derived lists.
 * If interrupted, it continues where it was when called again with the same backup. It writes nothing of a backup that
 * is not whole.
 */
export async function restoreBackup(redis: RedisClient, { path, replicas, progress }: Restore): Promise<Restored> {
  const whole = await verifyBackup(path);
  const mark = await RestoreMark.find(redis, whole);
  if (mark.done === undefined) {
    await assertEmpty(redis, readPieces(path));
    // Before anything is written, so that an interruption in the first slice can be resumed too.
    await mark.put(0);
  }
  await write(redis, mark, { path, replicas, progress });
  const lists = new DerivedLists(redis);
  const { scopes, granted, accounts } = await compare(redis, { path, progress }, lists);
  for (const scope of scopes) await lists.addAliases(scope);
  for (const key of granted) await lists.addGrants(key);
  for (const accountId of accounts) await lists.addIamRecords(accountId);
  await replicated(redis, replicas);
  await mark.remove();
  return { ...whole, ...lists.flaws };
}

async function write(redis: RedisClient, mark: RestoreMark, { path, replicas, progress }: Restore): Promise<void> {
  let done = 0;
  const before = mark.done ?? 0;
  for await (const slice of readAhead(slicesOf(readPieces(path)))) {
    done += slice.length;
    if (done <= before) continue;
    await Promise.all(slice.map((piece) => writePiece(redis, piece)));
    await replicated(redis, replicas);
    await mark.put(done);
    progress.tell(() => `${done} values written`);
  }
}

/**
 * Throws CliError if anything in Redis differs from the backup. Returns the owners of aliases and of IAM records, and
 * the keys with grants.
 */
async function compare(
  redis: RedisClient,
  { path, progress }: Pick<Restore, 'path' | 'progress'>,
  lists: DerivedLists,
): Promise<{ scopes: Iterable<Scope>; granted: Iterable<GrantedKey>; accounts: Iterable<string> }> {
  const scopes = new Map<string, Scope>();
  const granted = new Map<string, GrantedKey>();
  const accounts = new Set<string>();
  const wrong = new Set<string>();
  let done = 0;
  for await (const slice of readAhead(slicesOf(readPieces(path)))) {
    const there = await Promise.all(slice.map(async (piece) => [piece.name, await readBack(redis, piece)] as const));
    for (const [name, members] of there) {
      for (const { member, isSame } of members) {
        if (!isSame) wrong.add(`${name} ${member}`);
        else if (wrong.size > 0) wrong.delete(`${name} ${member}`);
      }
      const scope = scopeOf(name, 'aliases');
      if (scope !== undefined) scopes.set(name, scope);
      const key = keyOfGrants(name);
      if (key !== undefined) granted.set(name, key);
      if (isOfKind(name, 'iam')) accounts.add(storedNameOf(name)!.tag);
    }
    if (wrong.size > MAX_CHANGED) break;
    await lists.addKeys(
      there.filter(([name]) => isOfKind(name, 'key')).map(([name, members]) => ({ name, ...fieldsOf(members) })),
    );
    done += slice.length;
    progress.tell(() => `${done} values compared`);
  }
  const [first] = wrong;
  if (first !== undefined) throw new CliError(`${first} differs from the backup.`);
  return { scopes: scopes.values(), granted: granted.values(), accounts };
}

/** The fields of a key's record from which lists are built. */
function fieldsOf(members: readonly Member[]): { record?: string; due?: string } {
  return Object.fromEntries(members.map(({ member, found }) => [member, found?.toString()]));
}

async function* slicesOf(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece[]> {
  let [slice, length]: [Piece[], number] = [[], 0];
  for await (const piece of pieces) {
    slice.push(piece);
    length += lengthOf(piece);
    if (slice.length < SLICE && length < SLICE_LENGTH) continue;
    yield slice;
    [slice, length] = [[], 0];
  }
  if (slice.length > 0) yield slice;
}

function lengthOf({ value }: Piece): number {
  if (typeof value === 'string') return value.length;
  return Object.values(value).reduce((sum: number, member: string) => sum + member.length, 0);
}

/** Ensures that everything written on this connection survives the loss of one node. Throws CliError if it cannot. */
async function replicated(redis: RedisClient, replicas: number): Promise<void> {
  if (replicas === 0) return;
  for (const node of mastersOf(redis)) {
    for (let tries = 0; (await node.wait(replicas, REPLICATION_MS)) < replicas; tries++) {
      if (tries < REPLICATION_TRIES) continue;
      throw new CliError(
        `fewer than ${replicas} replicas have confirmed the writes: start them, then run the same restore again.`,
      );
    }
  }
}
