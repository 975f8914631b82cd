import type { Endpoint, Transport, WireRequest } from './endpoint.ts';
import { RequestSigner } from './request-signer.ts';

/**
 * Requests as they go out. A signature lasts for its second, so each request is signed once a second and sent as often
 * as it is chosen: the generator costs little of the machine that it measures, and the server verifies every request
 * all the same.
 */
export class RequestSource {
  readonly #requests: readonly WireRequest[];
  readonly #choose: () => number;
  readonly #transport: Transport<unknown>;
  readonly #signer: RequestSigner;
  readonly #lasts: boolean;
  readonly #ready = new Map<number, unknown>();
  #second = 0;

  constructor(
    endpoint: Endpoint,
    transport: Transport<unknown>,
    requests: readonly WireRequest[],
    choose: () => number,
  ) {
    this.#requests = requests;
    this.#choose = choose;
    this.#transport = transport;
    this.#signer = new RequestSigner(endpoint);
    this.#lasts = endpoint.signing === undefined;
  }

  next(): unknown {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      if (!this.#lasts) this.#ready.clear();
    }
    const index = this.#choose();
    const found = this.#ready.get(index);
    if (found !== undefined) return found;
    const made = this.#transport.encode(this.#signer.sign(this.#requests[index]!, second));
    this.#ready.set(index, made);
    return made;
  }
}
