import type { KeyObject } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { type NobleAlgorithm, type Signed, signByNoble, verifyByNoble } from './noble-signatures.ts';
import type { NobleReply, NobleRequest } from './noble-thread-worker.ts';

/** Signatures that node:crypto does not make. */
export interface NobleSignatures {
  sign(algorithm: NobleAlgorithm, privateKey: KeyObject, message: Uint8Array): Promise<Buffer>;
  verify(algorithm: NobleAlgorithm, publicKey: KeyObject, signed: Signed): Promise<boolean>;
}

/** On the calling thread: for tests and tools, which have no other customer to keep waiting. */
export const nobleSignatures: NobleSignatures = {
  sign: async (algorithm, privateKey, message) => Buffer.from(signByNoble(algorithm, privateKey, message)),
  verify: async (algorithm, publicKey, signed) => verifyByNoble(algorithm, publicKey, signed),
};

interface Waiting {
  resolve(result: Uint8Array | boolean): void;
  reject(error: Error): void;
}

/** On a thread of its own: one signature takes 1 to 70 ms. A thread that dies fails what it was doing, and is replaced. */
export class NobleThread implements NobleSignatures, AsyncDisposable {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor() {
    this.#worker = this.#started();
  }

  async sign(algorithm: NobleAlgorithm, privateKey: KeyObject, message: Uint8Array): Promise<Buffer> {
    return Buffer.from((await this.#run({ algorithm, key: privateKey, message: copyOf(message) })) as Uint8Array);
  }

  async verify(algorithm: NobleAlgorithm, publicKey: KeyObject, { message, signature }: Signed): Promise<boolean> {
    const request = { algorithm, key: publicKey, message: copyOf(message), signature: copyOf(signature) };
    return (await this.#run(request)) as boolean;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }

  #run(request: Omit<NobleRequest, 'id'>): Promise<Uint8Array | boolean> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#worker ??= this.#started();
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, ...request } satisfies NobleRequest);
    });
  }

  #started(): Worker {
    // Nothing of the process's options or environment (telemetry hooks among them) belongs into the boundary.
    const worker = new Worker(new URL('./noble-thread-worker.ts', import.meta.url), { execArgv: [], env: {} });
    worker.unref();
    worker.on('message', ({ id, result }: NobleReply) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
      if (result === undefined) waiting?.reject(new Error('a signature could not be made'));
      else waiting?.resolve(result);
    });
    worker.on('error', () => this.#stopped(worker));
    worker.on('exit', () => this.#stopped(worker));
    return worker;
  }

  #stopped(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const waiting of this.#waiting.values()) waiting.reject(new Error('the signature thread stopped'));
    this.#waiting.clear();
  }
}

/** Just these bytes: sending a view would send the whole buffer under it, other callers' messages with it. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}
