import type { Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

/** How long a record may wait to be written together with others. */
const FLUSH_MS = 25;
/** Records are gathered in chunks of this size; a larger record gets its own. */
const CHUNK_BYTES = 262_144;
/**
 * Beyond this many unwritten bytes, nothing is started that would have to be recorded. Requests under way still add to
 * them.
 */
const MAX_BACKLOG_BYTES = 64 * 1024 * 1024;
/** How soon a failed write is retried. */
const RETRY_MS = 1_000;
/** How soon a renamed file is left for a new one under the old name. */
const FOLLOW_MS = 1_000;
/** UTF-8 needs at most this many bytes for each UTF-16 unit of a string. */
const MAX_BYTES_PER_UNIT = 3;
const NEWLINE = 0x0a;

/** Takes records as JSON text. */
export interface AuditSink {
  write(record: string): void;
  /** Whether so many records are waiting that nothing may be done that would have to be recorded. */
  readonly isFull: boolean;
  /** Resolves when everything written until now is on its file; rejects when that cannot be done now. */
  settled(): Promise<void>;
}

/** The sink reports this once, so the requests that meet it do not report it again. */
export class AuditFullError extends Error {
  override name = 'AuditFullError';
}

/** Throws AuditFullError while actions could not be recorded, so that they are not carried out. */
export function assertRecordable({ isFull }: Pick<AuditSink, 'isFull'>): void {
  if (isFull) throw new AuditFullError('audit records are waiting for the disk');
}

/** A sink that writes to a file. */
export interface AuditFile extends AuditSink, AsyncDisposable {
  /** The file's size at the last check; 0 if there is no file. */
  readonly fileBytes: number;
}

/** For a deployment configured without an audit file. */
export const noAudit: AuditFile = {
  fileBytes: 0,
  isFull: false,
  write() {},
  async settled() {},
  async [Symbol.asyncDispose]() {},
};

export interface FileSinkOptions {
  readonly path: string;
  /** Called when records cannot be written. They are kept and retried. */
  readonly onProblem: (problem: unknown) => void;
  /** For tests: how often the file's name is checked. */
  readonly followMs?: number;
  /** For tests. */
  readonly maxBacklogBytes?: number;
  /** For tests: a disk that takes only so much. */
  readonly open?: (path: string) => Promise<Handle>;
}

interface Handle extends Pick<FileHandle, 'close'> {
  stat(): Promise<Stats>;
  write(buffer: Buffer, offset: number): Promise<{ readonly bytesWritten: number }>;
}

/**
 * Appends JSON lines to a file that only its owner may read. The file grows until somebody renames it; then a new one
 * is started under the old name. Disposing writes what is left.
 */
export async function openFileSink(options: FileSinkOptions): Promise<AuditFile> {
  return new FileSink(await openFile(options), options);
}

interface OpenFile {
  readonly handle: Handle;
  /** Whether it ends within a line: its disk was full, or whoever wrote it was killed. */
  readonly isTorn: boolean;
}

async function openFile({ path, open: openHandle = openToAppend }: FileSinkOptions): Promise<OpenFile> {
  const handle = await openHandle(path);
  const found = await handle.stat();
  if (!found.isFile() || found.size === 0) return { handle, isTorn: false };
  await using reading = await open(path, 'r');
  const { buffer } = await reading.read(Buffer.alloc(1), 0, 1, found.size - 1);
  return { handle, isTorn: buffer[0] !== NEWLINE };
}

function openToAppend(path: string): Promise<Handle> {
  return open(path, 'a', 0o600);
}

const END_OF_LINE = Buffer.of(NEWLINE);

/**
 * A record is turned into bytes at once. Waiting objects would outlive the young-generation collections that free a
 * request's own objects, and each collection would copy them.
 */
class FileSink implements AuditFile {
  fileBytes = 0;
  #file: Handle;
  #lookedAt = performance.now();
  readonly #options: FileSinkOptions;
  readonly #followMs: number;
  readonly #maxBacklogBytes: number;
  readonly #onProblem: (problem: unknown) => void;
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #used = 0;
  /** Whole lines in order, except those in the chunk being filled. */
  #full: Buffer[] = [];
  /** How much of the first of them is in the file. */
  #written = 0;
  #fullBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The error of the previous flush, if any. */
  #flushing: Promise<Error | undefined> = Promise.resolve(undefined);
  #isClosing = false;

  constructor({ handle, isTorn }: OpenFile, options: FileSinkOptions) {
    const { onProblem, followMs = FOLLOW_MS, maxBacklogBytes = MAX_BACKLOG_BYTES } = options;
    this.#file = handle;
    if (isTorn) this.#endLine(this.#full);
    this.#options = options;
    this.#followMs = followMs;
    this.#maxBacklogBytes = maxBacklogBytes;
    this.#onProblem = onProblem;
  }

  get isFull(): boolean {
    return this.#fullBytes >= this.#maxBacklogBytes;
  }

  write(record: string): void {
    this.#reserve(record.length * MAX_BYTES_PER_UNIT + 1);
    this.#used += this.#chunk.write(record, this.#used, 'utf8');
    this.#chunk[this.#used++] = NEWLINE;
    this.#flushIn(FLUSH_MS);
  }

  async settled(): Promise<void> {
    const problem = await this.#flushNow();
    if (problem !== undefined) throw problem;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    await this.#flushNow();
    await this.#file.close();
  }

  #flushIn(milliseconds: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#flushNow();
    }, milliseconds);
  }

  #flushNow(): Promise<Error | undefined> {
    return (this.#flushing = this.#flushing.then(() => this.#flush()));
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#chunk.length - this.#used) return;
    this.#closeChunk();
    this.#chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, bytes));
    this.#used = 0;
  }

  /** The bytes written into the chunk wait for the disk; filling continues in the rest of it. */
  #closeChunk(): void {
    if (this.#used === 0) return;
    this.#full.push(this.#chunk.subarray(0, this.#used));
    const before = this.#fullBytes;
    this.#fullBytes += this.#used;
    if (before < this.#maxBacklogBytes && this.isFull)
      this.#onProblem(new Error('too many records are waiting: nothing is done until they are written'));
    this.#chunk = this.#chunk.subarray(this.#used);
    this.#used = 0;
  }

  /** Returns the error, if any. */
  async #flush(): Promise<Error | undefined> {
    this.#closeChunk();
    const writing = this.#full;
    this.#full = [];
    try {
      await this.#followName(writing);
      while (writing.length > 0) {
        const { bytesWritten } = await this.#file.write(writing[0]!, this.#written);
        this.#fullBytes -= bytesWritten;
        this.#written += bytesWritten;
        if (this.#written < writing[0]!.length) continue;
        writing.shift();
        this.#written = 0;
      }
      return undefined;
    } catch (error) {
      this.#onProblem(error);
      this.#full.unshift(...writing);
      if (!this.#isClosing) this.#flushIn(RETRY_MS);
      return error as Error;
    }
  }

  async #followName(writing: Buffer[]): Promise<void> {
    if (performance.now() - this.#lookedAt < this.#followMs) return;
    this.#lookedAt = performance.now();
    const [{ ino, dev, size }, named] = await Promise.all([
      this.#file.stat(),
      stat(this.#options.path).catch(() => undefined),
    ]);
    this.fileBytes = size;
    if (named?.ino === ino && named.dev === dev) return;
    const renamed = this.#file;
    this.fileBytes = 0;
    const { handle, isTorn } = await openFile(this.#options);
    this.#file = handle;
    this.#beginLineAnew(writing);
    if (isTorn) this.#endLine(writing);
    await renamed.close();
  }

  /** A line of which the previous file has only the beginning is written whole into the new one. */
  #beginLineAnew(writing: Buffer[]): void {
    if (this.#written === 0) return;
    const begin = writing[0]!.lastIndexOf(NEWLINE, this.#written - 1) + 1;
    this.#fullBytes += this.#written - begin;
    writing[0] = writing[0]!.subarray(begin);
    this.#written = 0;
  }

  /** Otherwise the file's last line, which is lost, would take the next one with it. */
  #endLine(writing: Buffer[]): void {
    writing.unshift(END_OF_LINE);
    this.#fullBytes += END_OF_LINE.length;
  }
}
