import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { readAhead } from '@keyfleet/shared/read-ahead';
import { mastersOf, type RedisClient } from '@keyfleet/shared/redis/connect';
import { KEPT_AFTER_RESTORE_MS, noteRestored } from '@keyfleet/shared/redis/store-restored';
import { type GrantedKey, keyOfGrants } from '@keyfleet/shared/stored/grants';
import { isOfKind, type Scope, scopeOf, storedNameOf } from '@keyfleet/shared/stored/names';
import { CliError } from '../cli-error.ts';
import type { Progress } from '../progress.ts';
import { DerivedLists } from './derived.ts';
import type { Piece } from './format.ts';
import { assertEmpty, RestoreMark } from './restore-mark.ts';
import { verifyBackup, type Whole } from './reader.ts';
import { readBack, writePiece } from './redis-pieces.ts';
import { keptIn } from '../left-out.ts';
import { soundPieces } from './sound.ts';
import { TokenChains } from './sound-tokens.ts';

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
  /** Absent: whoever founded the domain is taken for its founders. */
  readonly anchor?: TrustAnchor | undefined;
}

/** What each pass over the backup takes. */
interface Pass extends Omit<Restore, 'anchor'> {
  readonly chains: TokenChains;
}

export interface Restored extends Whole, Pick<DerivedLists, 'dangling' | 'renamed' | 'pendingDeletion'> {
  /** Before that, frontends delete no key. Milliseconds since the epoch. */
  readonly deletesFrom: number;
  /** What no service wrote there, or what is no record: each with why. */
  readonly leftOut: readonly string[];
}

/**
 * Writes a backup into an empty Redis, compares all of it with what is there afterwards, and builds the derived lists.
 * What somebody put into Redis before the backup is left out, as far as it is not a record (`soundPieces`).
 * If interrupted, it continues where it was when called again with the same backup. It writes nothing of a backup that
 * is not whole.
 */
export async function restoreBackup(
  redis: RedisClient,
  { path, replicas, progress, anchor }: Restore,
): Promise<Restored> {
  const chains = new TokenChains(anchor, progress);
  const whole = await verifyBackup(path);
  const mark = await RestoreMark.find(redis, whole);
  if (mark.done === undefined) {
    await assertEmpty(redis, soundPieces(path, chains), chains);
    // Before anything is written, so that an interruption in the first slice can be resumed too.
    await mark.put(0);
  }
  const domains = await write(redis, mark, { path, chains, replicas, progress });
  // Before there is a list of keys that are due.
  const restoredAt = await Promise.all([...domains].map((domain) => noteRestored(redis, domain)));
  const deletesFrom = Math.max(0, ...restoredAt) + KEPT_AFTER_RESTORE_MS;
  const lists = new DerivedLists(redis, deletesFrom);
  const { scopes, granted, accounts, leftOut } = await compare(redis, mark, { path, chains, progress }, lists);
  await mark.putCompared();
  for (const scope of scopes) await lists.addAliases(scope);
  for (const key of granted) await lists.addGrants(key);
  for (const accountId of accounts) await lists.addIamRecords(accountId);
  await replicated(redis, replicas);
  await mark.remove();
  const { dangling, renamed, pendingDeletion } = lists;
  return { ...whole, dangling, renamed, pendingDeletion, deletesFrom, leftOut };
}

/** Returns the domains that are in the backup: one. */
async function write(
  redis: RedisClient,
  mark: RestoreMark,
  { path, chains, replicas, progress }: Pass,
): Promise<ReadonlySet<string>> {
  const domains = new Set<string>();
  let done = 0;
  const before = mark.done ?? 0;
  for await (const slice of readAhead(slicesOf(soundPieces(path, chains)))) {
    for (const { name } of slice)
      if (isOfKind(name, 'tokens') || isOfKind(name, 'store')) domains.add(storedNameOf(name)!.tag);
    done += slice.length;
    if (done <= before) continue;
    await Promise.all(slice.map((piece) => writePiece(redis, piece)));
    await replicated(redis, replicas);
    await mark.put(done);
    progress.tell(() => `${done} values written`);
  }
  return domains;
}

interface Compared extends Pick<Restored, 'leftOut'> {
  readonly scopes: Iterable<Scope>;
  readonly granted: Iterable<GrantedKey>;
  readonly accounts: Iterable<string>;
}

/**
 * Throws CliError if anything in Redis differs from the backup, unless it was compared before. Returns the owners of
 * aliases and of IAM records, and the keys with grants.
 */
async function compare(
  redis: RedisClient,
  { isCompared }: RestoreMark,
  { path, chains, progress }: Omit<Pass, 'replicas'>,
  lists: DerivedLists,
): Promise<Compared> {
  const scopes = new Map<string, Scope>();
  const granted = new Map<string, GrantedKey>();
  const accounts = new Set<string>();
  const wrong = new Set<string>();
  const leftOut: string[] = [];
  const sound = soundPieces(path, chains, keptIn(leftOut));
  let done = 0;
  for await (const slice of readAhead(slicesOf(sound))) {
    const there = await Promise.all(
      slice.map(async (piece) => [piece.name, await readBack(redis, piece, chains)] as const),
    );
    for (const [name, members] of there) {
      for (const { member, isSame } of members) {
        if (!isSame && !isCompared) wrong.add(`${name} ${member}`);
        else if (wrong.size > 0) wrong.delete(`${name} ${member}`);
      }
      const scope = scopeOf(name, 'aliases');
      if (scope !== undefined) scopes.set(name, scope);
      const key = keyOfGrants(name);
      if (key !== undefined) granted.set(name, key);
      if (isOfKind(name, 'iam')) accounts.add(storedNameOf(name)!.tag);
    }
    if (wrong.size > MAX_CHANGED) break;
    const keys = there.filter(([name]) => isOfKind(name, 'key')).flatMap(([, members]) => members);
    await lists.addKeys(keys.flatMap(({ member, found }) => (member === 'record' && found ? [found.toString()] : [])));
    done += slice.length;
    progress.tell(() => `${done} values compared`);
  }
  const [first] = wrong;
  if (first !== undefined) throw new CliError(`${first} differs from the backup.`);
  return { scopes: scopes.values(), granted: granted.values(), accounts, leftOut };
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
