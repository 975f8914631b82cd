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

/** Signatures for every account; the account decides whose turn it is. */
export interface NobleSigners {
  of(account: string): NobleSignatures;
}

/** How many jobs may wait per account and per key: a key's are 0.1 to 4 s of work. */
const MAX_WAITING = [128, 64];
/** Jobs posted to the thread: the current one and the next, so that the thread never idles between two. */
const MAX_POSTED = 2;

interface Job {
  readonly request: NobleRequest;
  resolve(result: Uint8Array | boolean): void;
  reject(error: Error): void;
}

/**
 * Signs on a separate thread: one signature takes 1 to 70 ms. Accounts take turns, as do the keys of an account, so
 * that one tenant's load delays another by one signature. If the thread dies, its jobs fail and a new thread replaces
 * it. Messages are copied once, into memory that is transferred to the thread, which overwrites it.
 */
export class NobleThread implements NobleSigners, AsyncDisposable {
  readonly #waiting = new FairQueue<Job>(MAX_WAITING);
  readonly #posted = new Map<number, Job>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor() {
    this.#worker = this.#started();
  }

  /** Both methods refuse with `overloaded` when too many jobs of the account or the key wait. */
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
    // None of the process's options or environment (telemetry hooks among them) belongs inside the boundary.
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

/** A message that was transferred to the thread is no longer ours to overwrite; filling it does nothing. */
function refuse(job: Job, error: Error): void {
  job.request.message.fill(0);
  job.reject(error);
}

/**
 * Copies just these bytes: to transfer a view would transfer the whole buffer beneath it, including other callers'
 * messages. The ArrayBuffer is allocated explicitly: V8 would keep a small one (`Uint8Array.from` of 64 bytes) in its
 * heap and copy it on transfer.
 */
function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
