import type { KeyObject } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { RefusedError } from '../errors.ts';
import { FairQueue } from './fair-queue.ts';
import type { NobleAlgorithm, Signed } from './noble-signatures.ts';
import type { NobleReply, NobleRequest } from './noble-thread-worker.ts';

/** Signatures that node:crypto does not make, for one account. */
export interface NobleSignatures {
  sign(algorithm: NobleAlgorithm, privateKey: KeyObject, message: Uint8Array): Promise<Buffer>;
  verify(algorithm: NobleAlgorithm, publicKey: KeyObject, signed: Signed): Promise<boolean>;
}

/** Signatures for every account; who it is decides whose turn it is. */
export interface NobleSigners {
  of(account: string): NobleSignatures;
}

/** Jobs that may wait, of one account and of one key: the key's are 0.1 to 4 s of work. */
const MAX_WAITING = [128, 64];
/** Jobs that the thread has: one that it does, and the next, so that it is never idle between two. */
const MAX_POSTED = 2;

interface Job {
  readonly request: NobleRequest;
  resolve(result: Uint8Array | boolean): void;
  reject(error: Error): void;
}

/**
 * On a thread of its own: one signature takes 1 to 70 ms. Accounts take turns, and the keys of an account, so that the
 * load of one tenant delays another by one signature. A thread that dies fails what it was doing, and is replaced.
 * Messages are copied once, into memory that is handed to the thread, which overwrites it.
 */
export class NobleThread implements NobleSigners, AsyncDisposable {
  readonly #waiting = new FairQueue<Job>(MAX_WAITING);
  readonly #posted = new Map<number, Job>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor() {
    this.#worker = this.#started();
  }

  /** Both refuse with `overloaded` when too many jobs of the account or the key wait. */
  of(account: string): NobleSignatures {
    return {
      sign: async (algorithm, key, message) =>
        Buffer.from((await this.#run(account, { algorithm, key, message: copyOf(message) })) as Uint8Array),
      verify: async (algorithm, key, { message, signature }) =>
        (await this.#run(account, {
          algorithm,
          key,
          message: copyOf(message),
          signature: copyOf(signature),
        })) as boolean,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }

  #run(account: string, request: Omit<NobleRequest, 'id'>): Promise<Uint8Array | boolean> {
    return new Promise((resolve, reject) => {
      const job = { request: { id: ++this.#lastId, ...request }, resolve, reject };
      if (!this.#waiting.add([account, request.key], job)) return refuse(job, new RefusedError('overloaded'));
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
      this.#worker.postMessage(job.request, [job.request.message.buffer]);
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
      refuse(job, new Error('the signature thread stopped'));
    }
    this.#posted.clear();
  }
}

/** What the thread has is not ours to overwrite any more; filling it does nothing. */
function refuse(job: Job, error: Error): void {
  job.request.message.fill(0);
  job.reject(error);
}

/**
 * Just these bytes: handing over a view would hand over the whole buffer under it, other callers' messages with it. The
 * memory is asked for as such: what V8 keeps within its heap (`Uint8Array.from` of 64 bytes) would be copied when it is
 * handed over.
 */
function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
