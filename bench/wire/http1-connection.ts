import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AnswerParser } from './answer-parser.ts';
import {
  type Address,
  addressesInTurn,
  type Answer,
  type Connection,
  type Endpoint,
  type ReadyRequest,
  type Transport,
  TransportError,
  tlsOptions,
} from './endpoint.ts';

export function http1Transport(endpoint: Endpoint): Transport<Buffer> {
  const nextAddress = addressesInTurn(endpoint);
  return { encode, connect: () => new Http1Connection(endpoint, nextAddress()) };
}

function encode({ method, path, headers, body }: ReadyRequest): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const head = `${method} ${path} HTTP/1.1\r\n${lines}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** One keep-alive connection over a raw socket. One that ended is made again by the next request. */
class Http1Connection implements Connection<Buffer> {
  readonly #endpoint: Endpoint;
  readonly #address: Address;
  #socket: Socket | undefined;
  #parser = new AnswerParser();
  #resolve: ((answer: Answer) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(endpoint: Endpoint, address: Address) {
    this.#endpoint = endpoint;
    this.#address = address;
  }

  send(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      (this.#socket ??= this.#connect()).write(request);
    });
  }

  [Symbol.dispose](): void {
    this.#end(new TransportError('ABORTED', 'the connection was given up'));
  }

  #connect(): Socket {
    const { host, port } = this.#address;
    this.#parser = new AnswerParser();
    const socket = this.#endpoint.tls
      ? connectTls({ host, port, ...tlsOptions(this.#endpoint, this.#address) })
      : connectTcp({ host, port });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => socket === this.#socket && this.#answered(this.#parser.push(chunk)));
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      if (socket === this.#socket) this.#end(new TransportError(cause.code ?? 'ERROR', cause.message, { cause }));
    });
    socket.on('close', () => {
      if (socket !== this.#socket) return;
      this.#answered(this.#parser.finish());
      this.#end(new TransportError('CLOSED', 'the server closed the connection'));
    });
    return socket;
  }

  #answered(answer: Answer | undefined): void {
    if (answer === undefined) return;
    const resolve = this.#resolve;
    this.#resolve = this.#reject = undefined;
    if (this.#parser.closes) this.#end();
    resolve?.(answer);
  }

  #end(error?: TransportError): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    const reject = this.#reject;
    this.#resolve = this.#reject = undefined;
    if (error) reject?.(error);
  }
}
