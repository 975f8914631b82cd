import { BenchError, UnsupportedError } from '../bench-error.ts';
import {
  type Answer,
  authorityOf,
  type Connection,
  type ReadyRequest,
  TransportError,
  type WireRequest,
} from '../wire/endpoint.ts';
import { RequestSigner } from '../wire/request-signer.ts';
import { transportOf } from '../wire/transport.ts';
import type { Call, Output, Target } from './target.ts';

const CONNECTIONS = 32;
const PATIENCE_MS = 60_000;

/** Makes the calls with which scenarios prepare and check. They are not timed. */
export class Caller implements Disposable {
  readonly #target: Target;
  readonly #signer: RequestSigner;
  readonly #encode: (request: ReadyRequest) => unknown;
  readonly #all: readonly Connection<unknown>[];
  readonly #idle: Connection<unknown>[];
  readonly #waiting: ((connection: Connection<unknown>) => void)[] = [];

  constructor(target: Target) {
    const transport = transportOf(target.endpoint);
    this.#target = target;
    this.#signer = new RequestSigner(target.endpoint);
    this.#encode = (request) => transport.encode(request);
    this.#all = Array.from({ length: CONNECTIONS }, () => transport.connect());
    this.#idle = [...this.#all];
  }

  /** Throws UnsupportedError if the target refuses, BenchError if it does not answer. */
  async call(operation: string, input: Call['input'], keyId?: string): Promise<Output> {
    const call = { operation, input, ...(keyId === undefined ? {} : { keyId }) };
    const { protocol, name } = this.#target;
    if (!protocol) throw new BenchError(`${name} has no ${operation}`);
    const request = protocol.encode(call);
    const answer = await this.#send(request);
    if (answer.failure === undefined) return protocol.decode(call, answer, request);
    throw new UnsupportedError(`${operation} is answered with ${answer.failure}: ${textOf(answer)}`);
  }

  [Symbol.dispose](): void {
    for (const connection of this.#all) connection[Symbol.dispose]();
  }

  async #send(request: WireRequest): Promise<Answer> {
    const connection = this.#idle.pop() ?? (await new Promise<Connection<unknown>>((give) => this.#waiting.push(give)));
    const patience = setTimeout(() => connection[Symbol.dispose](), PATIENCE_MS);
    try {
      return await connection.send(this.#encode(this.#signer.sign(request, Math.floor(Date.now() / 1000))));
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      const { name, endpoint } = this.#target;
      throw new BenchError(`${name} does not answer at ${authorityOf(endpoint)}: ${error.message}`, { cause: error });
    } finally {
      clearTimeout(patience);
      const next = this.#waiting.shift();
      if (next) next(connection);
      else this.#idle.push(connection);
    }
  }
}

/** The server's own words, short. */
function textOf({ body }: Answer): string {
  const text = body.toString();
  const message = /"message":\s*"((?:[^"\\]|\\.)*)"/i.exec(text)?.[1] ?? text;
  return message.replaceAll(/\s+/g, ' ').slice(0, 160);
}
