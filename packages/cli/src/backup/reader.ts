import { storedNameOf } from '@keyfleet/shared/stored/names';
import { isDerived } from './stages.ts';
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { z } from 'zod';
import { CliError } from '../cli-error.ts';
import {
  Checkpoint,
  CHUNK_BYTES,
  Head,
  type ListPiece,
  type Piece,
  piecesOf,
  type Position,
  type Sum,
  Tail,
} from './format.ts';

const NEWLINE = 0x0a;

/** What a whole backup proves about itself. */
export interface Whole {
  readonly values: number;
  /** Identifies the backup. */
  readonly sha256: string;
}

/** How far an unfinished backup got. */
export interface Unfinished {
  readonly head: Extract<Head, { version: 2 }>;
  readonly position: Position;
  readonly sum: Omit<Sum, 'sha256'>;
  /** The digest of everything up to `length` bytes; the rest of the file must be made again. */
  readonly digest: Hash;
  readonly length: number;
}

/**
 * Reads a whole backup without keeping it; `onTokens` is told of the pieces of domain tokens. Throws CliError if it is
 * cut off, changed, or not a backup.
 */
export async function verifyBackup(path: string, onTokens?: (piece: ListPiece) => Promise<unknown>): Promise<Whole> {
  let last: CheckedLine | undefined;
  for await (const line of checkedLines(path)) {
    if (last?.kind === 'tail') throw damaged();
    last = line;
    if (onTokens === undefined || line.kind !== 'piece' || !isOfTokens(line.bytes)) continue;
    for (const piece of piecesIn(line.bytes)) if (piece.type === 'list') await onTokens(piece);
  }
  if (last?.kind !== 'tail') throw cutOff();
  return last.whole;
}

/** The pieces of what is not derived. Throws CliError before the end if the backup is not whole. */
export async function* readPieces(path: string): AsyncGenerator<Piece> {
  for await (const line of checkedLines(path)) {
    if (line.kind === 'tail') return;
    if (line.kind !== 'piece' || isOfDerived(line.bytes)) continue;
    yield* piecesIn(line.bytes);
  }
  throw cutOff();
}

function piecesIn(line: Buffer): readonly Piece[] {
  try {
    return [...piecesOf(line.toString('utf8'))];
  } catch (cause) {
    throw damaged(cause);
  }
}

/** Undefined if it did not reach its first checkpoint. */
export async function findUnfinished(path: string): Promise<Unfinished | undefined> {
  let head: Head | undefined;
  let unfinished: Unfinished | undefined;
  for await (const line of checkedLines(path)) {
    if (line.kind === 'head') head = line.head;
    if (line.kind !== 'checkpoint' || head?.version !== 2) continue;
    unfinished = { head, position: line.position, sum: line.sum, digest: line.digest.copy(), length: line.end };
  }
  return unfinished;
}

type CheckedLine =
  | { readonly kind: 'head'; readonly head: Head }
  | { readonly kind: 'piece'; readonly bytes: Buffer }
  | {
      readonly kind: 'checkpoint';
      readonly position: Position;
      readonly sum: Unfinished['sum'];
      readonly digest: Hash;
      readonly end: number;
    }
  | { readonly kind: 'tail'; readonly whole: Whole };

/** Every line, after checking its claims about the lines before it. Ends with the file, with or without a tail. */
async function* checkedLines(path: string): AsyncGenerator<CheckedLine> {
  const digest = createHash('sha256');
  let [head, count, values, end]: [Head | undefined, number, number, number] = [undefined, 0, 0, 0];
  for await (const bytes of linesOf(path)) {
    const kind = kindOf(bytes);
    const sha256 = kind === 'piece' ? '' : digest.copy().digest('hex');
    digest.update(bytes);
    end += bytes.length;
    if (head === undefined) {
      head = headOf(bytes);
      yield { kind: 'head', head };
    } else if (kind === 'piece') {
      count++;
      if (beginsValue(bytes)) values++;
      yield { kind, bytes };
    } else if (kind === 'checkpoint') {
      const { checkpoint: position, ...sum } = parse(Checkpoint, bytes);
      if (sum.sha256 !== sha256 || sum.count !== count || sum.values !== values) throw damaged();
      yield { kind, position, sum, digest, end };
    } else {
      const tail = parse(Tail, bytes);
      if (tail.sha256 !== sha256 || tail.count !== count || (tail.values ?? values) !== values) throw damaged();
      yield { kind, whole: { values, sha256 } };
    }
  }
}

/** Recognized without parsing: of millions of lines, nearly all are pieces. */
function kindOf(line: Buffer): 'piece' | 'checkpoint' | 'tail' {
  if (startsWith(line, '{"checkpoint":')) return 'checkpoint';
  return startsWith(line, '{"count":') ? 'tail' : 'piece';
}

/** Whether a value to be restored begins with this piece. */
function beginsValue(line: Buffer): boolean {
  const goesOn = /^\{"name":"[^"\\]*","type":"(?:hash|list)","from":[1-9]/.test(line.toString('latin1', 0, 300));
  return !goesOn && !isOfDerived(line);
}

/** The first release wrote a list of half a million keys into one line: it is not even parsed. */
function isOfDerived(line: Buffer): boolean {
  return isDerived(nameIn(line));
}

function isOfTokens(line: Buffer): boolean {
  return storedNameOf(nameIn(line))?.kind === 'tokens';
}

function nameIn(line: Buffer): string {
  const [, name = ''] = /^\{"name":"([^"\\]*)"/.exec(line.toString('latin1', 0, 300)) ?? [];
  return name;
}

function startsWith(line: Buffer, text: string): boolean {
  return line.toString('latin1', 0, text.length) === text;
}

function headOf(line: Buffer): Head {
  try {
    return Head.parse(JSON.parse(line.toString('utf8')));
  } catch (cause) {
    throw new CliError('this is not a Keyfleet backup, or it is truncated.', { cause });
  }
}

function parse<T>(schema: z.ZodType<T>, line: Buffer): T {
  try {
    return schema.parse(JSON.parse(line.toString('utf8')));
  } catch (cause) {
    throw damaged(cause);
  }
}

function damaged(cause?: unknown): CliError {
  return new CliError('the backup is damaged: it is truncated, or was changed after it was made.', { cause });
}

function cutOff(): CliError {
  return new CliError('the backup is damaged: it is truncated.');
}

/**
 * Lines with their newlines; a last line without one was cut off. A line is valid only until the next is requested: all
 * share one buffer, because garbage stays in memory until it is collected. Throws CliError if the file cannot be read.
 */
async function* linesOf(path: string): AsyncGenerator<Buffer> {
  await using file = await openFile(path);
  let buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let length = 0; ;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) return;
    length += bytesRead;
    let from = 0;
    for (let at; (at = buffer.subarray(0, length).indexOf(NEWLINE, from)) >= 0; from = at + 1) {
      yield buffer.subarray(from, at + 1);
    }
    // A line longer than the buffer needs a larger one.
    const into = from === 0 && length === buffer.length ? Buffer.allocUnsafe(2 * buffer.length) : buffer;
    buffer.copy(into, 0, from, length);
    length -= from;
    buffer = into;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (cause) {
    throw new CliError(`cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}).`, { cause });
  }
}
