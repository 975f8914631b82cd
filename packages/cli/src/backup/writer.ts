import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, truncate } from 'node:fs/promises';
import { CliError } from '../cli-error.ts';
import { CHUNK_BYTES, formatLine, type Head, isFirst, type Piece, type Position, type Sum } from './format.ts';
import type { Unfinished } from './reader.ts';

/** Writes a backup line by line with a running digest. Disposing it leaves what was written, which can be continued. */
export class BackupWriter implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #digest: Hash;
  #count: number;
  #values: number;
  /** One buffer for all lines, because garbage stays in memory until it is collected. */
  #buffer = Buffer.allocUnsafe(2 * CHUNK_BYTES);
  #length = 0;

  private constructor(file: FileHandle, digest: Hash, { count, values }: Unfinished['sum']) {
    this.#file = file;
    this.#digest = digest;
    this.#count = count;
    this.#values = values;
  }

  /** Creates the file with mode 0600. Throws CliError if it already exists. */
  static async begin(path: string, head: Head): Promise<BackupWriter> {
    const writer = new BackupWriter(await openFile(path, 'wx'), createHash('sha256'), { count: 0, values: 0 });
    writer.#put(formatLine(head));
    return writer;
  }

  /** Discards what came after the last checkpoint; it is made again. */
  static async goOn(path: string, { digest, sum, length }: Unfinished): Promise<BackupWriter> {
    await truncate(path, length);
    return new BackupWriter(await openFile(path, 'a'), digest, sum);
  }

  get values(): number {
    return this.#values;
  }

  async write(pieces: readonly Piece[]): Promise<void> {
    for (const piece of pieces) {
      this.#count++;
      if (isFirst(piece)) this.#values++;
      this.#put(formatLine(piece));
    }
    if (this.#length > CHUNK_BYTES) await this.#flush();
  }

  /** Everything written so far is on disk, and the backup can continue from `position`. */
  async checkpoint(position: Position): Promise<void> {
    await this.#flush();
    this.#put(formatLine({ checkpoint: position, ...this.#sum() }));
    await this.#flush();
    await this.#file.datasync();
  }

  /** The backup is whole and on disk. */
  async finish(): Promise<void> {
    await this.#flush();
    this.#put(formatLine(this.#sum()));
    await this.#flush();
    await this.#file.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  #sum(): Sum {
    return { count: this.#count, values: this.#values, sha256: this.#digest.copy().digest('hex') };
  }

  #put(line: string): void {
    const room = 3 * line.length;
    if (this.#length + room > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + room));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#length += this.#buffer.write(line, this.#length);
  }

  async #flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    this.#digest.update(bytes);
    await this.#file.appendFile(bytes);
  }
}

async function openFile(path: string, flag: 'wx' | 'a'): Promise<FileHandle> {
  try {
    return await open(path, flag, 0o600);
  } catch (cause) {
    throw new CliError(`cannot write ${path}: ${(cause as Error).message}.`, { cause });
  }
}
