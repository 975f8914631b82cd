import type { ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';

/**
 * One byte that says whether it is compressed, and the length in four (gRPC over HTTP/2, "Length-Prefixed-Message").
 */
const PREFIX_BYTES = 5;

/**
 * The HTTP/2 stream of a call. What came on it, and the message that leaves on it, lie in memory of ours, to be
 * overwritten: grpc-js copies both and keeps no hold of the copies.
 */
export class CallStream {
  readonly #stream: ServerHttp2Stream;
  readonly #received: Buffer[] = [];

  constructor(call: ServerInterceptingCallInterface) {
    this.#stream = streamOf(call);
    // After grpc-js's own listener, which has made its copy once a message is whole.
    this.#stream.on('data', (chunk: Buffer) => this.#received.push(chunk));
    this.#stream.once('close', () => this.wipeReceived());
  }

  /** To be called when nothing more is read of a message. */
  wipeReceived(): void {
    for (const chunk of this.#received.splice(0)) chunk.fill(0);
  }

  /** Sends `message`, after the headers, and overwrites it. `sent` is not called when nobody is there any more. */
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

/** grpc-js has no way to ask for it. */
function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  const { stream } = call as ServerInterceptingCallInterface & { readonly stream?: ServerHttp2Stream };
  if (stream === undefined) throw new Error('grpc-js has no stream where it used to be');
  return stream;
}
