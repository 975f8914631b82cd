import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connections } from './connections.ts';
import type { Connection, Sender } from './sender.ts';
import type { HttpAnswer } from './http-message.ts';
import { stopParsing } from './parsers.ts';
import { saysTls } from './trusted-proxies.ts';

/**
 * How long we wait for the rest of a refused body before answering, so that a client that sends everything first then
 * reads the answer.
 */
const LINGER_MS = 1_000;
/** The most bytes of a refused body that we read for that; a client that sends more is cut off without an answer. */
const MAX_THROWN_AWAY = 1_048_576;
const SMALL_BODY = 4_096;
/** The answers that a stranger forfeits when we throw its body away. */
const UPLOAD_COST = 20;
/**
 * Requests that may wait on one connection: of a caller, more than one read of an honest client's bytes can hold. Each
 * takes 2.4 KB, however short. Those of strangers wait for as long as their peer is due no answer, and on all
 * connections together they take 200 MB. Nobody's client sends so many before its first answer.
 */
const MAX_WAITING = 1_024;
const STRANGERS_WAITING = 8;

/**
 * The connection that brought the request; undefined, and the socket ended, if nobody counts what it costs: it has
 * closed, or should.
 */
export function connectionOf({ socket }: IncomingMessage, connections: Connections): Connection | undefined {
  const connection = connections.of(socket);
  if (connection !== undefined && !connection.socket.destroyed) return connection;
  socket.destroy();
  return undefined;
}

interface ExchangeParts extends Pick<Exchange, 'request' | 'response'> {
  readonly connection: Connection;
  readonly isTls: boolean;
  readonly maxConnectionAgeMs: number;
}

/** One request and its answer. A connection has one at a time. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId = randomUUID();
  readonly #connection: Connection;
  readonly #sender: Sender;
  readonly #isTls: boolean;
  readonly #maxAgeMs: number;
  #isGenuine = false;
  #isInFlight = false;
  #isUploading = false;
  #isAnswered = false;

  constructor(parts: ExchangeParts) {
    this.request = parts.request;
    this.response = parts.response;
    this.#connection = parts.connection;
    this.#isTls = parts.isTls;
    this.#maxAgeMs = parts.maxConnectionAgeMs;
    // Nobody changes to another protocol here; but node:http no longer reads what follows such a request, without end.
    if (this.request.headers.upgrade !== undefined) this.response.shouldKeepAlive = false;
    const forwardedFor = this.request.headers['x-forwarded-for'];
    this.#sender = parts.connection.senderOf(forwardedFor?.toString());
  }

  /** Whether the caller spoke TLS, to this port or to the proxy in front of it. */
  get isSecure(): boolean {
    if (!this.#sender.isProxied) return this.#isTls;
    return saysTls(this.request.headers['x-forwarded-proto']?.toString());
  }

  get sourceIpAddress(): string {
    return this.#sender.address;
  }

  /**
   * Calls `serve` once the requests before it on the connection are answered and its peer has room. The socket is not
   * read meanwhile.
   */
  begin(serve: () => void): void {
    const { socket, turns } = this.#connection;
    const { peer } = this.#sender;
    turns.enter(() => {
      if (this.response.closed || socket.destroyed) return this.#end();
      this.response.once('close', () => this.#end());
      this.#connection.enter(peer.turns, () => {
        this.#isInFlight = true;
        if (this.response.closed) this.#leavePeer();
        else serve();
      });
    });
    if (turns.waiting === 0) return;
    if (turns.waiting <= (this.#connection.isStrange ? STRANGERS_WAITING : MAX_WAITING)) {
      return this.#connection.holdBack();
    }
    stopParsing(socket);
    this.#connection.cut();
  }

  /**
   * Calls `read` once there is room for a larger body, which may take a while for a peer's strangers. None of the body
   * is read before.
   */
  beginBody(read: () => void): void {
    const { isStrange, peer } = this.#sender;
    if (!isStrange) return read();
    this.#connection.enter(peer.strangerUploads, () => {
      this.#isUploading = true;
      if (this.response.closed) this.#leavePeer();
      else read();
    });
  }

  /** Has the client connect anew if the connection is old, unless its next requests are here already. */
  #endIfOld(): void {
    const { turns } = this.#connection;
    if (turns.waiting === 0 && this.#connection.isOlderThan(this.#maxAgeMs)) this.response.shouldKeepAlive = false;
  }

  /** The request brought a genuine signature. */
  prove(): void {
    this.#isGenuine = true;
    this.#sender.prove();
  }

  /**
   * Whether part of the body is still to come. node:http never marks a body complete while it reads the headers,
   * although a small one arrives with them.
   */
  #isSending(): boolean {
    const { complete, headers } = this.request;
    return !complete && Number(headers['content-length']) > SMALL_BODY;
  }

  /**
   * Answers a public request by `write`, with a delay for a peer that asks without end, so that other probers still get
   * through.
   */
  tell(write: () => void): void {
    this.#endIfOld();
    if (this.#isSending()) this.response.shouldKeepAlive = false;
    this.#answerAfter(this.#sender.probeDelay(), write);
  }

  /** Answers once. A stranger waits until its peer is due an answer. */
  send(answer: HttpAnswer): void {
    if (this.#isAnswered) return;
    this.#endIfOld();
    // What fails for a reason of ours says nothing of who asked.
    if (!this.#isGenuine && answer.status < 500) this.#sender.doubt();
    if (this.#isSending()) return this.#sendEarly(answer);
    this.#answerAfter(this.#sender.delay(), () => this.write(answer));
  }

  /**
   * Answers a request whose body has not arrived. The rest is read and thrown away, so that the client gets to read the
   * answer, unless its peer has had its share of that.
   */
  #sendEarly(answer: HttpAnswer): void {
    this.#isAnswered = true;
    this.#leavePeer();
    const { request, response } = this;
    if (this.#sender.delay(UPLOAD_COST) > 0) {
      this.#connection.socket.destroy();
      return;
    }
    const due = setTimeout(() => {
      response.shouldKeepAlive = false;
      this.write(answer);
    }, LINGER_MS);
    response.once('close', () => clearTimeout(due));
    let thrownAway = 0;
    request.on('data', (chunk: Buffer) => {
      thrownAway += chunk.length;
      if (thrownAway > MAX_THROWN_AWAY) this.#connection.socket.destroy();
    });
    request.once('end', () => {
      clearTimeout(due);
      this.write(answer);
    });
  }

  #answerAfter(delay: number, write: () => void): void {
    this.#isAnswered = true;
    this.#leavePeer();
    if (delay === 0) return write();
    // Throws away what still comes of a small body.
    this.request.resume();
    const due = setTimeout(write, delay);
    this.response.once('close', () => clearTimeout(due));
  }

  /** Does nothing once an answer was begun: its client may not read it, and send the rest of a refused body. */
  write({ status, contentType, body }: HttpAnswer): void {
    const { request, response, requestId } = this;
    if (response.headersSent) return;
    if (response.destroyed) {
      if (typeof body !== 'string') body.fill(0);
      return;
    }
    const headers = ['x-amzn-RequestId', requestId, 'Content-Length', String(Buffer.byteLength(body))];
    if (body.length > 0) headers.push('Content-Type', contentType);
    if (request.headers.origin !== undefined) headers.push(...sharedWithOrigins);
    response.writeHead(status, headers);
    response.end(body);
    if (body.length > SMALL_BODY) {
      const drop = (): void => void this.#connection.socket.destroy();
      response.once('close', this.#sender.holdAnswer(body.length, drop));
    }
    if (typeof body !== 'string') response.once('close', () => body.fill(0));
  }

  #leavePeer(): void {
    const { turns, strangerUploads } = this.#sender.peer;
    if (this.#isInFlight) turns.leave();
    if (this.#isUploading) strangerUploads.leave();
    this.#isInFlight = false;
    this.#isUploading = false;
  }

  #end(): void {
    this.#sender.leave();
    this.#leavePeer();
    this.#connection.turns.leave();
    this.#connection.readOn();
  }
}

/**
 * Sent with every answer to a page (Fetch standard, "CORS protocol"). Any origin may read the answers, as with AWS: the
 * caller is proven by a signature that the page itself makes, never by anything that a browser adds.
 */
const sharedWithOrigins: readonly string[] = [
  'Access-Control-Allow-Origin',
  '*',
  'Access-Control-Expose-Headers',
  'x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date',
];

/** Two days, as on AWS; browsers apply their own maximum. */
const MAX_AGE_S = '172800';

/** A browser's preflight: may the page make this call? */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}

/** Every requested header is allowed: a header that is not signed decides nothing. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const asked = request.headers['access-control-request-headers'];
  const named = asked !== undefined && /^[\w-]+(?: *, *[\w-]+)*$/.test(asked);
  response.writeHead(200, [
    ...sharedWithOrigins,
    'Access-Control-Allow-Methods',
    'GET, POST, OPTIONS',
    ...(named ? ['Access-Control-Allow-Headers', asked] : []),
    'Access-Control-Max-Age',
    MAX_AGE_S,
    'Content-Length',
    '0',
  ]);
  response.end();
}
