import type { Transport, WireRequest } from './endpoint.ts';
import type { RequestSigner } from './request-signer.ts';

export interface RequestSourceParts {
  /** They sign in turn. */
  readonly signers: readonly RequestSigner[];
  readonly transport: Transport<unknown>;
  readonly requests: readonly WireRequest[];
  readonly choose: () => number;
}

/**
 * Requests as they go out. A signature lasts for its second, so each request is signed once a second by each signer and
 * sent as often as it is chosen: the generator costs little of the machine that it measures, and the server verifies
 * every request all the same.
 */
export class RequestSource {
  readonly #parts: RequestSourceParts;
  /** By request and signer. */
  readonly #ready = new Map<number, unknown>();
  #second = 0;
  #turn = 0;

  constructor(parts: RequestSourceParts) {
    this.#parts = parts;
  }

  next(): unknown {
    const { signers, requests, choose, transport } = this.#parts;
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      if (signers[0]!.signs) this.#ready.clear();
    }
    const signer = this.#turn++ % signers.length;
    const request = choose();
    const index = request * signers.length + signer;
    const found = this.#ready.get(index);
    if (found !== undefined) return found;
    const made = transport.encode(signers[signer]!.sign(requests[request]!, second));
    this.#ready.set(index, made);
    return made;
  }
}
