import type { KeyObject } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { type NobleAlgorithm, signByNoble, verifyByNoble } from './noble-signatures.ts';

/** A request to the thread. Keys are handles to OpenSSL's memory: no key bytes are copied between threads. */
export interface NobleRequest {
  readonly id: number;
  readonly algorithm: NobleAlgorithm;
  readonly key: KeyObject;
  /** The thread owns it and overwrites it. */
  readonly message: Uint8Array<ArrayBuffer>;
  /** Present to verify, absent to sign. */
  readonly signature?: Uint8Array;
}

/** A signature, whether a signature is valid, or undefined if the work failed. */
export interface NobleReply {
  readonly id: number;
  readonly result: Uint8Array | boolean | undefined;
}

parentPort?.on('message', (request: NobleRequest) => {
  parentPort?.postMessage({ id: request.id, result: resultOf(request) } satisfies NobleReply);
});

function resultOf({ algorithm, key, message, signature }: NobleRequest): NobleReply['result'] {
  try {
    if (signature === undefined) return signByNoble(algorithm, key, message);
    return verifyByNoble(algorithm, key, { message, signature });
  } catch {
    return undefined;
  } finally {
    message.fill(0);
  }
}
