import { type FileHandle, open } from 'node:fs/promises';
import type { AuditRecord, AuditSink } from './record.ts';
import type { ServiceEvent } from './service-events.ts';

/** Short, so that the records of a flush are few enough to be written out without holding up requests. */
const FLUSH_MS = 25;
/** Past this many unwritten records the disk does not keep up: the oldest wait, and the problem is reported. */
const REPORT_BACKLOG = 100_000;

/** For a deployment that is configured without an audit file. */
export const noAudit: AuditSink & AsyncDisposable = {
  write() {},
  async [Symbol.asyncDispose]() {},
};

export interface FileSinkOptions {
  readonly path: string;
  /** Called when records cannot be written; they are kept and tried again. */
  readonly onProblem: (problem: unknown) => void;
}

/** Appends JSON lines to a file that only its owner may read. Disposing writes what is left. */
export async function openFileSink({ path, onProblem }: FileSinkOptions): Promise<AuditSink & AsyncDisposable> {
  return new FileSink(await open(path, 'a', 0o600), onProblem);
}

class FileSink implements AuditSink, AsyncDisposable {
  readonly #file: FileHandle;
  readonly #onProblem: (problem: unknown) => void;
  #waiting: (AuditRecord | ServiceEvent)[] = [];
  /** Lines that an attempt to write left over. */
  #unwritten = Buffer.alloc(0);
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(file: FileHandle, onProblem: (problem: unknown) => void) {
    this.#file = file;
    this.#onProblem = onProblem;
  }

  write(record: AuditRecord | ServiceEvent): void {
    this.#waiting.push(record);
    if (this.#waiting.length === REPORT_BACKLOG)
      this.#onProblem(new Error('audit records pile up: the disk is too slow'));
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

  async #flush(): Promise<void> {
    const records = this.#waiting;
    this.#waiting = [];
    const lines = records.map((record) => `${JSON.stringify(record)}\n`).join('');
    let rest = Buffer.concat([this.#unwritten, Buffer.from(lines, 'utf8')]);
    try {
      while (rest.length > 0) rest = rest.subarray((await this.#file.write(rest)).bytesWritten);
    } catch (error) {
      this.#onProblem(error);
    }
    this.#unwritten = Buffer.from(rest);
  }
}
