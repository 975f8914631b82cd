import type { IncomingMessage, ServerResponse } from 'node:http';

/** Bytes. */
export interface UploadLimits {
  /** Of one body. */
  readonly bodyBytes: number;
  /** Of all bodies in memory, so that many connections cannot take what one may not. */
  readonly bufferedBytes: number;
}

/** A body that is to come, and what becomes of it: all of it, or why not. */
export interface Expected {
  /** Bytes, by the headers; NaN where they do not say. */
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
 * The bodies of requests in memory. When they are too much, the upload that began first gives way, for honest ones take
 * milliseconds. What was refused is given back at once.
 */
export class Uploads {
  readonly #limits: UploadLimits;
  /** Those that have not come in one piece, the oldest first. */
  readonly #slow = new Set<Upload>();
  #buffered = 0;

  constructor(limits: UploadLimits) {
    this.#limits = limits;
  }

  /** Collects a body. Gives what tells that it is needed no longer, which the end of the response does as well. */
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

/** Whoever has been given a body overwrites it; what nobody was given is overwritten here. */
function overwrite(chunks: readonly Buffer[]): void {
  for (const chunk of chunks) chunk.fill(0);
}
