import { ERROR_TRAILER } from '@keyfleet/shared/errors/grpc-errors';
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import {
  type Address,
  addressesInTurn,
  type Answer,
  authorityOf,
  type Connection,
  type Endpoint,
  type ReadyRequest,
  type Transport,
  TransportError,
  tlsOptions,
} from './endpoint.ts';

/** Calls that share a connection, as a gRPC channel's do. */
const CALLS_PER_SESSION = 16;
/** A compression flag and a length of four bytes. Source: gRPC over HTTP2, "Length-Prefixed-Message". */
const PREFIX = 5;

interface GrpcRequest {
  readonly headers: Record<string, string>;
  readonly message: Buffer;
}

/** Unary gRPC calls. */
export function http2Transport(endpoint: Endpoint): Transport<GrpcRequest> {
  const nextAddress = addressesInTurn(endpoint);
  let shared: SharedSession | undefined;
  return {
    encode,
    connect() {
      if (shared === undefined || shared.users === CALLS_PER_SESSION) {
        shared = new SharedSession(endpoint, nextAddress());
      }
      return new GrpcConnection(shared);
    },
  };
}

function encode({ path, headers, body }: ReadyRequest): GrpcRequest {
  const message = Buffer.alloc(PREFIX + body.length);
  message.writeUInt32BE(body.length, 1);
  body.copy(message, PREFIX);
  const rest = { 'content-type': 'application/grpc', te: 'trailers' };
  const signed = Object.fromEntries(headers.filter(([name]) => name !== 'host'));
  return { headers: { ':method': 'POST', ':path': path, ...rest, ...signed }, message };
}

class SharedSession {
  users = 0;
  readonly #endpoint: Endpoint;
  readonly #address: Address;
  #session: ClientHttp2Session | undefined;

  constructor(endpoint: Endpoint, address: Address) {
    this.#endpoint = endpoint;
    this.#address = address;
  }

  get(): ClientHttp2Session {
    if (this.#session && !this.#session.closed && !this.#session.destroyed) return this.#session;
    const origin = `${this.#endpoint.tls ? 'https' : 'http'}://${authorityOf(this.#address)}`;
    const session = connect(origin, tlsOptions(this.#endpoint, this.#address));
    // Each call that it carries hears of it.
    session.on('error', () => undefined);
    return (this.#session = session);
  }

  leave(): void {
    if (--this.users === 0) this.#session?.destroy();
  }
}

class GrpcConnection implements Connection<GrpcRequest> {
  readonly #shared: SharedSession;
  #abort: (() => void) | undefined;

  constructor(shared: SharedSession) {
    this.#shared = shared;
    shared.users++;
  }

  send({ headers, message }: GrpcRequest): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const stream = this.#shared.get().request(headers);
      const chunks: Buffer[] = [];
      let last: IncomingHttpHeaders = {};
      const fail = (code: string, text: string) => reject(new TransportError(code, text));
      this.#abort = () => stream.destroy();
      stream.on('response', (found) => (last = found));
      stream.on('trailers', (found: IncomingHttpHeaders) => (last = found));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'ERROR', error.message));
      stream.on('close', () => {
        if (last['grpc-status'] === undefined) return fail('CLOSED', 'the call ended without a status');
        resolve(answerOf(last, Buffer.concat(chunks)));
      });
      stream.end(message);
    });
  }

  [Symbol.dispose](): void {
    this.#abort?.();
    this.#shared.leave();
  }
}

function answerOf(trailers: IncomingHttpHeaders, data: Buffer): Answer {
  const status = Number(trailers[constants.HTTP2_HEADER_STATUS] ?? 200);
  const body = data.subarray(PREFIX);
  const code = trailers['grpc-status'];
  if (code === '0') return { status, body };
  const exception = trailers[ERROR_TRAILER];
  const text = decodeURIComponent(String(trailers['grpc-message'] ?? ''));
  const failure = typeof exception === 'string' ? exception : `gRPC ${String(code)}`;
  return { status, failure, body: Buffer.from(text) };
}
