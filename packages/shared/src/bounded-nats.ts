import type { Socket } from 'node:net';
import { Parser } from 'nats/lib/nats-base-client/parser.js';
import type { ProtocolHandler } from 'nats/lib/nats-base-client/protocol.js';
import { NodeTransport } from 'nats/lib/src/node_transport.js';

/** A server introduces itself with one line, and names every other server of its cluster there. */
const MAX_LINE_BYTES = 65_536;
/**
 * The most that NATS advises to let a message have; by default it has an eighth. Our own have some hundred bytes, but
 * who may publish at all must not end the others' connections.
 */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** What waits to be sent: seldom a thousand bytes. */
const MAX_UNSENT_BYTES = 65_536;

/**
 * Bounds what a NATS server can have this process keep: the client has no limit of its own, and no option for one. What
 * no server of NATS does ends the connection, and the client connects again. Call it once.
 */
export function boundNats(): void {
  boundMessages();
  boundIntroduction();
  boundAnswers();
}

/** The client's own parser says what it keeps. */
function boundMessages(): void {
  const parse = methodOf(Parser.prototype, 'parse');
  Parser.prototype.parse = function (this: Parser, bytes) {
    try {
      parse.call(this, bytes);
    } catch {
      // By itself the client would print the error, with what the server wrote, to where audit records may go; and then
      // keep whatever comes, and read no more of it.
      return end(this, 'NATS sent what a client does not know');
    }
    const isTooLong = this.msgBuf ? this.ma.size > MAX_MESSAGE_BYTES : (this.argBuf?.length ?? 0) > MAX_LINE_BYTES;
    if (isTooLong) end(this, 'NATS sent more than a message has');
  };
}

function end({ dispatcher }: Parser, reason: string): void {
  const { transport, connectError } = dispatcher as ProtocolHandler;
  const error = new Error(reason);
  connectError?.(error);
  void transport.close(error);
}

/** Before a server has introduced itself, the client keeps what comes, and does not close when the time is over. */
function boundIntroduction(): void {
  const peekInfo = methodOf(NodeTransport.prototype, 'peekInfo');
  const close = methodOf(NodeTransport.prototype, 'close');
  NodeTransport.prototype.peekInfo = function (this: NodeTransport) {
    const { socket } = this;
    let bytes = 0;
    socket.prependListener('data', ({ length }: Buffer) => {
      bytes += length;
      if (bytes > MAX_LINE_BYTES) socket.destroy(new Error('NATS sent more than an introduction has'));
    });
    const info = peekInfo.call(this);
    if (this.done) socket.destroy(new Error('NATS was given up'));
    return info;
  };
  NodeTransport.prototype.close = function (this: NodeTransport, error) {
    if (!this.connected) {
      this.done = true;
      (this.socket as Socket | undefined)?.destroy();
    }
    return close.call(this, error);
  };
}

/** The client answers whether or not the server reads. */
function boundAnswers(): void {
  const send = methodOf(NodeTransport.prototype, '_send');
  NodeTransport.prototype._send = function (this: NodeTransport, bytes) {
    const { writableLength = 0 } = (this.socket as Socket | undefined) ?? {};
    if (writableLength > MAX_UNSENT_BYTES) void this.close(new Error('NATS does not read'));
    return send.call(this, bytes);
  };
}

/** To be called on an instance. */
function methodOf<Class, Name extends keyof Class>(prototype: Class, name: Name): Class[Name] {
  return prototype[name];
}
