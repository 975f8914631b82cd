import { constants, type ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { streamOf } from '@keyfleet/shared/grpc/streams';
import type { Sender } from './sender.ts';

/** A compressed flag of one byte and a length of four (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;
/** An answer that is not worth counting. */
const SMALL_BYTES = 4_096;

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

  /**
   * Sends the headers and `message` to `sender`, then overwrites it. `sent` is not called when the client is gone, or
   * does not read.
   */
  send(message: Buffer, sender: Pick<Sender, 'holdAnswer' | 'isProxied'>, sent: () => void): void {
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
    framed.writeUInt8(0, 0);
    framed.writeUInt32BE(message.length, 1);
    message.copy(framed, PREFIX_BYTES);
    message.fill(0);
    const drop = (): void => dropUnread(this.#stream, sender);
    const read = framed.length > SMALL_BYTES ? sender.holdAnswer(framed.length, drop) : () => {};
    const written = (error?: Error | null): void => {
      read();
      framed.fill(0);
      if (!error) sent();
    };
    if (this.#stream.closed || this.#stream.destroyed) written(new Error('cancelled'));
    else this.#stream.write(framed, written);
  }
}

/**
 * Ends the connection of a call whose answer nobody reads: Node sends no reset of the call alone while its answer is
 * held up. A trusted proxy's connection carries others' calls.
 */
export function dropUnread(stream: ServerHttp2Stream, { isProxied }: Pick<Sender, 'isProxied'>): void {
  if (isProxied) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  else stream.session?.destroy();
}
