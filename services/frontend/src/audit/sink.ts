import { type FileHandle, open, stat } from 'node:fs/promises';
import type { AuditSink } from './record.ts';

/** How long a record may wait for others to be written with it. */
const FLUSH_MS = 25;
/** Records are gathered in pieces of memory of this size; a larger one gets a piece of its own. */
const CHUNK_BYTES = 262_144;
/** Past this many unwritten bytes the disk does not keep up: the oldest wait, and the problem is reported. */
const REPORT_BACKLOG_BYTES = 64 * 1024 * 1024;
/** How soon a file that was renamed is left, for a new one under the old name. */
const FOLLOW_MS = 1_000;
/** UTF-8 takes no more for each UTF-16 unit of a string. */
const MAX_BYTES_PER_UNIT = 3;
const NEWLINE = 0x0a;

/** For a deployment that is configured without an audit file. */
export const noAudit: AuditSink & AsyncDisposable = {
  write() {},
  async [Symbol.asyncDispose]() {},
};

export interface FileSinkOptions {
  readonly path: string;
  /** Called when records cannot be written; they are kept and tried again. */
  readonly onProblem: (problem: unknown) => void;
  /** For tests: how often the file's name is looked at. */
  readonly followMs?: number;
}

/**
 * Appends JSON lines to a file that only its owner may read. It grows until somebody renames it: then a new one is begun under the
 * name. Disposing writes what is left.
 */
export async function openFileSink(options: FileSinkOptions): Promise<AuditSink & AsyncDisposable> {
  return new FileSink(await openFile(options.path), options);
}

function openFile(path: string): Promise<FileHandle> {
  return open(path, 'a', 0o600);
}

/**
 * A record becomes bytes at once: objects that wait would outlive the collections of young garbage that every request's own objects
 * die in, and be copied by each.
 */
class FileSink implements AuditSink, AsyncDisposable {
  #file: FileHandle;
  #lookedAt = performance.now();
  readonly #path: string;
  readonly #followMs: number;
  readonly #onProblem: (problem: unknown) => void;
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #used = 0;
  /** Lines in order, without those of the chunk that is being filled. */
  #full: Buffer[] = [];
  #fullBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(file: FileHandle, { path, onProblem, followMs = FOLLOW_MS }: FileSinkOptions) {
    this.#file = file;
    this.#path = path;
    this.#followMs = followMs;
    this.#onProblem = onProblem;
  }

  write(record: string): void {
    this.#reserve(record.length * MAX_BYTES_PER_UNIT + 1);
    this.#used += this.#chunk.write(record, this.#used, 'utf8');
    this.#chunk[this.#used++] = NEWLINE;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flushing = this.#flushing.then(() => this.#flush());
    }, FLUSH_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#flushing;
    await this.#flush();
    await this.#file.close();
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#chunk.length - this.#used) return;
    this.#closeChunk();
    this.#chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, bytes));
    this.#used = 0;
  }

  /** What was written into the chunk waits for the disk; the rest of it is filled on. */
  #closeChunk(): void {
    if (this.#used === 0) return;
    this.#full.push(this.#chunk.subarray(0, this.#used));
    const before = this.#fullBytes;
    this.#fullBytes += this.#used;
    if (before < REPORT_BACKLOG_BYTES && this.#fullBytes >= REPORT_BACKLOG_BYTES)
      this.#onProblem(new Error('audit records pile up: the disk is too slow'));
    this.#chunk = this.#chunk.subarray(this.#used);
    this.#used = 0;
  }

  async #flush(): Promise<void> {
    this.#closeChunk();
    const writing = this.#full;
    this.#full = [];
    try {
      await this.#followName();
      while (writing.length > 0) {
        const { bytesWritten } = await this.#file.write(writing[0]!);
        this.#fullBytes -= bytesWritten;
        const rest = writing[0]!.subarray(bytesWritten);
        if (rest.length > 0) writing[0] = rest;
        else writing.shift();
      }
    } catch (error) {
      this.#onProblem(error);
      this.#full.unshift(...writing);
    }
  }

  async #followName(): Promise<void> {
    if (performance.now() - this.#lookedAt < this.#followMs) return;
    this.#lookedAt = performance.now();
    const [{ ino, dev }, named] = await Promise.all([this.#file.stat(), stat(this.#path).catch(() => undefined)]);
    if (named?.ino === ino && named.dev === dev) return;
    const renamed = this.#file;
    this.#file = await openFile(this.#path);
    await renamed.close();
  }
}
