import type { ClientHttp2Stream } from 'node:http2';
import { ownOf, PIECE_BYTES, watchClientStreams } from './streams.ts';

/**
 * For a message besides its bytes, of which grpc-js has a limit. The largest of ours has 4 MiB: even in pieces of 256
 * bytes it stays below this.
 */
const MAX_PIECES = (8 * 1024 * 1024) / PIECE_BYTES;
/** As many may keep what was read with them: most messages come in one piece, and are not copied. */
const MAX_SHARED = 16;
/** Precedes each message: a flag and the length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;

// Whoever makes calls imports this, which bounds what a server can have the process keep, for as long as it runs.
// grpc-js keeps each piece of a message until the message is whole, and Node each stream that a server pushes; neither
// has a limit for how many.
watchClientStreams((stream, headers) => {
  // Streams that the server opens have even ids (RFC 9113, section 5.1.1). None of ours does.
  if (stream.id !== undefined && stream.id % 2 === 0) refusePushed(stream);
  else if (headers['content-type'] === 'application/grpc') boundPieces(stream);
});

function refusePushed(stream: ClientHttp2Stream): void {
  // The session's error is each stream's too, and nobody else listens to this one.
  stream.on('error', () => {});
  stream.session?.destroy(new Error('the server pushes streams'));
}

function boundPieces(stream: ClientHttp2Stream): void {
  const messages = new Messages();
  let pieces = 0;
  const push = stream.push.bind(stream);
  stream.push = (piece: Buffer | null) => {
    if (piece === null) return push(piece);
    // Whole messages are kept too while nobody reads them.
    if (messages.endsIn(piece) && stream.readableLength === 0) pieces = 0;
    if (++pieces > MAX_PIECES) {
      stream.destroy(new Error('the answer comes in too many pieces'));
      return false;
    }
    return push(pieces > MAX_SHARED ? ownOf(piece) : piece);
  };
}

/** Where the messages of a stream end. */
class Messages {
  /** What has come of the prefix. */
  #prefix = 0;
  /** What is missing of the message. */
  #left = 0;

  /** Whether one ends in the stream's next piece. */
  endsIn(piece: Buffer): boolean {
    let ends = false;
    for (let at = 0; at < piece.length;) {
      if (this.#prefix < PREFIX_BYTES) {
        this.#left = this.#prefix === 0 ? 0 : this.#left * 256 + piece[at]!;
        this.#prefix++;
        at++;
      } else {
        const taken = Math.min(this.#left, piece.length - at);
        this.#left -= taken;
        at += taken;
      }
      if (this.#prefix < PREFIX_BYTES || this.#left > 0) continue;
      ends = true;
      this.#prefix = 0;
    }
    return ends;
  }
}
