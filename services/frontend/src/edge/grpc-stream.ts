import type { ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { streamOf } from '@keyfleet/shared/grpc/streams';

/** A compressed flag of one byte and a length of four (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;

/**
 * The HTTP/2 stream of a call. Received bytes and the message sent lie in memory that we can overwrite; grpc-js would
 * copy both and lose track of the copies.
 */
export class CallStream {
  readonly #stream: ServerHttp2Stream;
  readonly #received: Buffer[] = [];

  constructor(call: ServerInterceptingCallInterface) {
    this.#stream = streamOf(call);
    // Runs after grpc-js's own listener, which has copied a message once it is whole.
    this.#stream.on('data', (chunk: Buffer) => this.#received.push(chunk));
    this.#stream.once('close', () => this.wipeReceived());
  }

  /** Call it when nothing more of a message will be read. */
  wipeReceived(): void {
    for (const chunk of this.#received.splice(0)) chunk.fill(0);
  }

  /** Sends the headers and `message`, then overwrites it. `sent` is not called when the client is gone. */
  send(message: Buffer, sent: () => void): void {
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
    framed.writeUInt8(0, 0);
    framed.writeUInt32BE(message.length, 1);
    message.copy(framed, PREFIX_BYTES);
    message.fill(0);
    const written = (error?: Error | null): void => {
      framed.fill(0);
      if (!error) sent();
    };
    if (this.#stream.closed || this.#stream.destroyed) written(new Error('cancelled'));
    else this.#stream.write(framed, written);
  }
}
