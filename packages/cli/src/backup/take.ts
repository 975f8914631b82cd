import { readAhead } from '@keyfleet/shared/read-ahead';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { assertSameHolders, holdersOf } from '@keyfleet/shared/redis/nodes';
import { RECORDS_AT_ONCE } from '@keyfleet/shared/redis/stored-values';
import { isOfKind } from '@keyfleet/shared/stored/names';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { CliError } from '../cli-error.ts';
import type { Progress } from '../progress.ts';
import type { Sift } from './authentic.ts';
import type { Piece, Position } from './format.ts';
import { pagesOfNames } from './names.ts';
import { keptIn, type LeaveOut } from '../left-out.ts';
import { findUnfinished, verifyBackup, type Whole } from './reader.ts';
import { readPieces } from './redis-pieces.ts';
import { SoundTokens, TokenChains } from './sound-tokens.ts';
import { BackupWriter } from './writer.ts';

/** After this many pages of names, what was read is flushed to disk. */
const CHECKPOINT_PAGES = 20;

/** Of each it is remembered what was read: some megabytes, if it has as many users as it may. */
const ACCOUNTS_AT_ONCE = 4;

export interface Backup {
  readonly path: string;
  /** Whether to continue an interrupted backup. */
  readonly resume: boolean;
  readonly progress: Progress;
  /** Absent: all that a service may have stored. */
  readonly sift?: Sift | undefined;
  /** Absent: whoever founded the domain is taken for its founders. */
  readonly anchor?: TrustAnchor | undefined;
}

export interface Taken extends Whole {
  /** What no service stores there, with why. */
  readonly leftOut: readonly string[];
  /** Where a restore ends the domain tokens, with why: nobody could follow them further. */
  readonly cutOff: readonly string[];
}

/**
 * Writes everything kept in Redis to a file and reads it back. Until it is whole its name ends in `.unfinished`, so
 * that nobody takes it for a backup. Each value is as it was at one moment; in a large hash, each field is. The last
 * ones of an account's IAM records belong together (`pagesOfHash`).
 */
export async function takeBackup(redis: RedisClient, { path, resume, progress, sift, anchor }: Backup): Promise<Taken> {
  if (existsSync(path)) throw new CliError(`cannot write ${path}: the file already exists.`);
  const unfinished = `${path}.unfinished`;
  const leftOut: string[] = [];
  const leaveOut = keptIn(leftOut);
  const { writer, runIds, position } = await (resume ? goOn(redis, unfinished) : begin(redis, unfinished));
  {
    await using file = writer;
    let pages = 0;
    for await (const { pieces, next } of readAhead(readPages(redis, { leaveOut, sift }, position))) {
      await file.write(pieces);
      if (next !== undefined && ++pages % CHECKPOINT_PAGES === 0) await file.checkpoint(next);
      progress.tell(() => `${file.values} values written`);
    }
    await assertSameHolders(redis, runIds);
    await file.finish();
  }
  const cutOff: string[] = [];
  const tokens = new SoundTokens(new TokenChains(anchor, progress), keptIn(cutOff));
  const whole = await verifyBackup(unfinished, (piece) => tokens.soundOf(piece));
  await rename(unfinished, path);
  return { ...whole, leftOut, cutOff };
}

interface Begun {
  readonly writer: BackupWriter;
  readonly runIds: readonly string[];
  readonly position?: Position;
}

async function begin(redis: RedisClient, path: string): Promise<Begun> {
  if (existsSync(path)) {
    throw new CliError(`${path} is from an interrupted backup: continue it with --resume, or remove it.`);
  }
  const runIds = await holdersOf(redis);
  const begunAt = new Date().toISOString();
  return { writer: await BackupWriter.begin(path, { keyfleet: 'backup', version: 2, begunAt, runIds }), runIds };
}

async function goOn(redis: RedisClient, path: string): Promise<Begun> {
  const unfinished = existsSync(path) ? await findUnfinished(path) : undefined;
  if (unfinished === undefined) {
    throw new CliError(
      `${path} is missing, or ends before its first checkpoint: remove it, then start again without --resume.`,
    );
  }
  const { head, position } = unfinished;
  await assertSameHolders(redis, head.runIds);
  return { writer: await BackupWriter.goOn(path, unfinished), runIds: head.runIds, position };
}

async function* readPages(
  redis: RedisClient,
  { leaveOut, sift }: { readonly leaveOut: LeaveOut; readonly sift: Sift | undefined },
  begin?: Position,
): AsyncGenerator<{ pieces: Piece[]; next?: Position }> {
  for await (const { names, ...next } of pagesOfNames(redis, begin)) {
    for (const some of readAtOnce(names)) {
      for await (const { pieces } of readAll(some.map((name) => readPieces(redis, name, leaveOut)))) {
        const sifted = await Promise.all(
          pieces.map(async (piece) => (sift === undefined ? piece : sift(piece, leaveOut))),
        );
        yield { pieces: sifted.filter((piece) => piece !== undefined) };
      }
    }
    yield { pieces: [], ...next };
  }
}

function* readAtOnce(names: readonly string[]): Generator<readonly string[]> {
  const accounts = names.filter((name) => isOfKind(name, 'iam'));
  const others = names.filter((name) => !isOfKind(name, 'iam'));
  for (const [some, count] of [
    [accounts, ACCOUNTS_AT_ONCE],
    [others, RECORDS_AT_ONCE],
  ] as const)
    for (let from = 0; from < some.length; from += count) yield some.slice(from, from + count);
}

/** The first piece of each, then the second of those that have one, and so on. */
async function* readAll(all: readonly AsyncIterator<Piece>[]): AsyncGenerator<{ pieces: Piece[] }> {
  let values = all;
  while (values.length > 0) {
    const read = await Promise.all(values.map((value) => value.next()));
    yield { pieces: read.flatMap(({ done, value }) => (done === true ? [] : [value])) };
    values = values.filter((_, i) => read[i]!.done !== true);
  }
}
