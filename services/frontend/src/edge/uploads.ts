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
  /** Bytes, from the headers; NaN if they do not say. */
  readonly length: number;
  readonly done: (body: Buffer) => void;
  readonly refuse: (reason: 'tooLarge' | 'busy') => void;
}

class Upload {
  readonly expected: Expected;
  chunks: Buffer[] = [];
  length = 0;
  isOpen = true;

  constructor(expected: Expected) {
    this.expected = expected;
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
    upload.chunks.push(chunk);
    upload.length += chunk.length;
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
