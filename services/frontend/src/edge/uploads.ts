import type { IncomingMessage, ServerResponse } from 'node:http';

/** Bytes. */
export interface UploadLimits {
  /** For one body. */
  readonly bodyBytes: number;
  /** For all bodies in memory, so that many connections cannot take more than one may. */
  readonly bufferedBytes: number;
}

/** A body that is about to arrive, and the callbacks for its outcome: complete, or refused. */
export interface Expected {
  /** Bytes, from the headers. */
  readonly length: number;
  readonly done: (body: Buffer) => void;
  readonly refuse: (reason: 'tooLarge' | 'busy') => void;
}

/** Bytes. As an object, a chunk takes some 300 bytes besides what it holds, so small ones are put together. */
const BLOCK = 4096;

class Upload {
  readonly expected: Expected;
  chunks: Buffer[] = [];
  length = 0;
  isOpen = true;
  /** What small chunks are copied to; the last of `chunks` is the part of it that is used. */
  #block: Buffer | undefined;

  constructor(expected: Expected) {
    this.expected = expected;
  }

  keep(chunk: Buffer): void {
    this.length += chunk.length;
    // Most bodies arrive in one piece, which is not copied.
    if (this.chunks.length === 0 || chunk.length >= BLOCK) {
      this.#block = undefined;
      this.chunks.push(chunk);
      return;
    }
    const used = this.chunks.at(-1)!.length;
    if (this.#block !== undefined && used + chunk.length <= BLOCK) {
      chunk.copy(this.#block, used);
      this.chunks[this.chunks.length - 1] = this.#block.subarray(0, used + chunk.length);
    } else {
      this.#block = Buffer.allocUnsafeSlow(BLOCK);
      chunk.copy(this.#block);
      this.chunks.push(this.#block.subarray(0, chunk.length));
    }
    chunk.fill(0);
  }
}

/**
 * The request bodies in memory. If they exceed the limit, the upload that began first gives way, because honest ones
 * take milliseconds. A refused body is freed at once.
 */
export class Uploads {
  readonly #limits: UploadLimits;
  /** Uploads that did not arrive in one piece, oldest first. */
  readonly #slow = new Set<Upload>();
  #buffered = 0;

  constructor(limits: UploadLimits) {
    this.#limits = limits;
  }

  /**
   * Collects a body. Returns a function that releases it once it is no longer needed; the end of the response does the
   * same.
   */
  receive(request: IncomingMessage, response: ServerResponse, expected: Expected): () => void {
    const upload = new Upload(expected);
    const release = (): void => this.#release(upload);
    request.on('data', (chunk: Buffer) => this.#take(upload, chunk));
    request.on('end', () => {
      this.#slow.delete(upload);
      if (!upload.isOpen) return;
      const { chunks, length } = upload;
      upload.chunks = [];
      if (chunks.length === 1) return expected.done(chunks[0]!);
      const body = Buffer.concat(chunks, length);
      overwrite(chunks);
      expected.done(body);
    });
    response.on('close', release);
    return release;
  }

  #take(upload: Upload, chunk: Buffer): void {
    if (!upload.isOpen) return;
    upload.keep(chunk);
    this.#buffered += chunk.length;
    if (upload.length !== upload.expected.length) this.#slow.add(upload);
    if (upload.length > this.#limits.bodyBytes) this.#refuse(upload, 'tooLarge');
    else if (this.#buffered > this.#limits.bufferedBytes)
      this.#refuse(this.#slow.values().next().value ?? upload, 'busy');
  }

  #refuse(upload: Upload, reason: 'tooLarge' | 'busy'): void {
    this.#release(upload);
    upload.expected.refuse(reason);
  }

  #release(upload: Upload): void {
    this.#slow.delete(upload);
    this.#buffered -= upload.length;
    upload.isOpen = false;
    upload.length = 0;
    overwrite(upload.chunks);
    upload.chunks = [];
  }
}

/** Whoever receives a body overwrites it; chunks that nobody receives are overwritten here. */
function overwrite(chunks: readonly Buffer[]): void {
  for (const chunk of chunks) chunk.fill(0);
}
