import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

/** The parts of node:http's parser that stop it: nothing that is documented does within what it has read. */
interface Parser {
  onIncoming: (request: IncomingMessage, keepAlive: boolean) => number;
  /** The request that it reads. */
  readonly incoming: IncomingMessage | null;
}

/** None of the answers that llhttp knows, and so an error. */
const STOP = -1;

function parserOf(socket: Socket): Parser | undefined {
  return (socket as Socket & { readonly parser?: Parser | null }).parser ?? undefined;
}

/**
 * The rest of what was read of the connection is not parsed. Otherwise node:http goes on through it although the
 * connection is destroyed: 2,500 requests, 50 ms.
 */
export function stopParsing(socket: Socket): void {
  const parser = parserOf(socket);
  if (parser !== undefined) parser.onIncoming = () => STOP;
}

/**
 * Has the server end the connection of a request that does not state the length of its body, before any of the body is
 * parsed: node:http makes an object of each chunk, so that 64 KB of chunks of one byte take 2 MB. No client of these
 * APIs sends chunks. What is refused is a 'clientError'.
 *
 * @param plain Serves a connection that is not encrypted, or begins its handshake.
 */
export function stopAtUnstatedLengths(server: Server, plain: (socket: Socket) => void): (socket: Socket) => void {
  server.on('secureConnection', guard);
  return (socket) => {
    plain(socket);
    guard(socket);
  };
}

function guard(socket: Socket): void {
  const parser = parserOf(socket);
  if (parser === undefined) return;
  const { onIncoming } = parser;
  parser.onIncoming = (request, keepAlive) => (isUnstated(request) ? STOP : onIncoming(request, keepAlive));
}

/** Whether that is why the connection of a 'clientError' was ended. */
export function isOfUnstatedLength(socket: Socket): boolean {
  const request = parserOf(socket)?.incoming;
  return request ? isUnstated(request) : false;
}

/** No header is left out here: node:http refuses a request that has more of them than it takes. */
function isUnstated({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined;
}
