import type { KeyObject } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { RefusedError } from '../errors.ts';
import { FairQueue } from './fair-queue.ts';
import type { NobleAlgorithm, Signed } from './noble-signatures.ts';
import type { NobleReply, NobleRequest } from './noble-thread-worker.ts';

/** Signatures that node:crypto does not make. */
export interface NobleSignatures {
  sign(algorithm: NobleAlgorithm, privateKey: KeyObject, message: Uint8Array): Promise<Buffer>;
  verify(algorithm: NobleAlgorithm, publicKey: KeyObject, signed: Signed): Promise<boolean>;
}

/** Jobs of one key that may wait: 0.1 to 4 s of work. */
const MAX_WAITING = 64;
/** Jobs that the thread has: one that it does, and the next, so that it is never idle between two. */
const MAX_POSTED = 2;

interface Job {
  readonly request: NobleRequest;
  resolve(result: Uint8Array | boolean): void;
  reject(error: Error): void;
}

/**
 * On a thread of its own: one signature takes 1 to 70 ms. Keys take turns, so that the load of one tenant's key delays another's by
 * one signature. A thread that dies fails what it was doing, and is replaced.
 */
export class NobleThread implements NobleSignatures, AsyncDisposable {
  readonly #waiting = new FairQueue<KeyObject, Job>(MAX_WAITING);
  readonly #posted = new Map<number, Job>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor() {
    this.#worker = this.#started();
  }

  /** Refuses with `overloaded` when too many jobs of this key wait. */
  async sign(algorithm: NobleAlgorithm, privateKey: KeyObject, message: Uint8Array): Promise<Buffer> {
    return Buffer.from((await this.#run({ algorithm, key: privateKey, message: copyOf(message) })) as Uint8Array);
  }

  /** Refuses with `overloaded` when too many jobs of this key wait. */
  async verify(algorithm: NobleAlgorithm, publicKey: KeyObject, { message, signature }: Signed): Promise<boolean> {
    const request = { algorithm, key: publicKey, message: copyOf(message), signature: copyOf(signature) };
    return (await this.#run(request)) as boolean;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }

  #run(request: Omit<NobleRequest, 'id'>): Promise<Uint8Array | boolean> {
    return new Promise((resolve, reject) => {
      const job = { request: { id: ++this.#lastId, ...request }, resolve, reject };
      if (!this.#waiting.add(request.key, job)) return reject(new RefusedError('overloaded'));
      this.#post();
    });
  }

  #post(): void {
    while (this.#posted.size < MAX_POSTED) {
      const job = this.#waiting.take();
      if (job === undefined) return;
      this.#worker ??= this.#started();
      this.#posted.set(job.request.id, job);
      this.#worker.ref();
      this.#worker.postMessage(job.request);
    }
  }

  #started(): Worker {
    // Nothing of the process's options or environment (telemetry hooks among them) belongs into the boundary.
    const worker = new Worker(new URL('./noble-thread-worker.ts', import.meta.url), { execArgv: [], env: {} });
    worker.unref();
    worker.on('message', ({ id, result }: NobleReply) => {
      const job = this.#posted.get(id);
      this.#posted.delete(id);
      this.#post();
      if (this.#posted.size === 0) worker.unref();
      if (result === undefined) job?.reject(new Error('a signature could not be made'));
      else job?.resolve(result);
    });
    worker.on('error', () => this.#stopped(worker));
    worker.on('exit', () => this.#stopped(worker));
    return worker;
  }

  #stopped(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const job of [...this.#posted.values(), ...this.#waiting.drain()]) {
      job.reject(new Error('the signature thread stopped'));
    }
    this.#posted.clear();
  }
}

/** Just these bytes: sending a view would send the whole buffer under it, other callers' messages with it. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}
