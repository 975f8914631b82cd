import { hash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AWS_JSON } from '@keyfleet/shared/api/aws-json';
import type { Address } from '@keyfleet/shared/config';
import { headersByName } from '@keyfleet/shared/sigv4/canonical-request';
import type { Log } from '@keyfleet/shared/log';
import { namesAction } from '../sts/sts-edge.ts';
import { answerPreflight, isPreflight, sharedWithOrigins } from './cors.ts';
import type { EdgeRequest } from './pipeline.ts';
import { readTarget } from './request-target.ts';

/** A whole request as it came in, before anything in it is believed. */
export interface HttpRequest extends EdgeRequest {
  readonly body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** One entry per thing the service needs; what is not there yet says why in `detail`. */
export type Readiness = Readonly<Record<string, { readonly ok: boolean; readonly detail?: string }>>;

/** What one client may cost. Times in milliseconds, sizes in bytes. */
export interface HttpLimits {
  /** Room for a signature and a long session token. */
  readonly headerBytes: number;
  readonly headerCount: number;
  /**
   * The largest legal request holds an attestation document of 256 KiB in base64 and ten grant tokens of 8 KiB, or a policy of
   * 32 KiB with every character escaped: all below half of the default.
   */
  readonly bodyBytes: number;
  /** Of all bodies that are being received, so that many connections cannot take the memory that one may not. */
  readonly bufferedBytes: number;
  readonly connections: number;
  /** For the headers, and for the whole request, however slowly it trickles in. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Longer than the idle time of the usual load balancers, so that it is they who close. */
  readonly idleTimeoutMs: number;
  /** How long requests in flight may take once the server is stopping. */
  readonly drainMs: number;
}

export const httpLimits: HttpLimits = {
  headerBytes: 16_384,
  headerCount: 100,
  bodyBytes: 1_048_576,
  bufferedBytes: 268_435_456,
  connections: 10_000,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 15_000,
  idleTimeoutMs: 75_000,
  drainMs: 10_000,
};

export interface HttpEdgeOptions {
  readonly address: Pick<Address, 'host' | 'port'>;
  /** Answers every call at `/`; must not reject. */
  readonly answer: (request: HttpRequest) => Promise<HttpAnswer>;
  readonly readiness: () => Readiness;
  readonly log: Log;
  readonly limits?: HttpLimits;
}

export interface HttpEdge extends AsyncDisposable {
  readonly port: number;
}

/** Listens; disposing stops taking connections, lets requests in flight finish, then cuts what is left. */
export async function startHttpEdge(options: HttpEdgeOptions): Promise<HttpEdge> {
  const limits = options.limits ?? httpLimits;
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
  });
  server.maxConnections = limits.connections;
  server.maxHeadersCount = limits.headerCount + 1;
  // Also ends a connection whose client does not read its answer.
  server.timeout = limits.requestTimeoutMs + limits.idleTimeoutMs;
  server.on('clientError', refuseBrokenRequest);
  const reception: Reception = { answer: options.answer, log: options.log, limits, server, buffered: 0 };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (!server.listening) response.shouldKeepAlive = false;
    if (request.url === '/healthz' || request.url === '/readyz') answerProbe(request, response, options.readiness);
    else receive(request, response, reception);
  });
  server.listen(options.address.port, options.address.host);
  await once(server, 'listening');
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : options.address.port,
    [Symbol.asyncDispose]: () => drain(server, limits.drainMs),
  };
}

interface Reception {
  readonly answer: HttpEdgeOptions['answer'];
  readonly log: Log;
  readonly limits: HttpLimits;
  readonly server: Server;
  /** Bytes of bodies now in memory. */
  buffered: number;
}

function receive(request: IncomingMessage, response: ServerResponse, reception: Reception): void {
  const { limits } = reception;
  const requestId = randomUUID();
  if (request.rawHeaders.length > 2 * limits.headerCount) return send(response, requestId, refusals.tooManyHeaders);
  const target = readTarget(request.url ?? '');
  if (target?.path !== '/') return send(response, requestId, unknownOperation);
  if (isPreflight(request)) return answerPreflight(request, response);
  // Without a body there is only what a query can say: a call of STS.
  if (request.method !== 'POST' && !(request.method === 'GET' && namesAction(target.query))) {
    return send(response, requestId, unknownOperation);
  }
  const headers = headersByName(request.rawHeaders);
  // RFC 9112, 3.2.2: what stands in the request line is the host that was called, whatever the header says.
  if (target.authority !== undefined) headers.set('host', target.authority);
  if (Number(headers.get('content-length')) > limits.bodyBytes) return send(response, requestId, refusals.tooLarge);

  const refuse = (answer: HttpAnswer) => send(response, requestId, answer);
  collect(request, response, { reception, refuse }, (body) => {
    void respond(response, reception, requestOf(request, { requestId, query: target.query, headers, body }));
  });
}

interface Collection {
  readonly reception: Reception;
  readonly refuse: (answer: HttpAnswer) => void;
}

/** Calls `done` with the whole body, or `refuse` as soon as it is too much; what still comes after that is thrown away. */
function collect(
  request: IncomingMessage,
  response: ServerResponse,
  { reception, refuse }: Collection,
  done: (body: Buffer) => void,
): void {
  const { limits } = reception;
  let chunks: Buffer[] = [];
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    if (response.headersSent) return;
    chunks.push(chunk);
    length += chunk.length;
    reception.buffered += chunk.length;
    const isTooLarge = length > limits.bodyBytes;
    if (!isTooLarge && reception.buffered <= limits.bufferedBytes) return;
    chunks = [];
    refuse(isTooLarge ? refusals.tooLarge : refusals.busy);
  });
  request.on('end', () => {
    if (!response.headersSent) done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length));
  });
  response.on('close', () => (reception.buffered -= length));
}

function requestOf(
  request: IncomingMessage,
  parts: Pick<HttpRequest, 'requestId' | 'query' | 'headers' | 'body'>,
): HttpRequest {
  return {
    ...parts,
    method: request.method ?? '',
    path: '/',
    payloadHash: hash('sha256', parts.body, 'hex'),
    sourceIpAddress: request.socket.remoteAddress ?? '',
  };
}

async function respond(response: ServerResponse, reception: Reception, request: HttpRequest): Promise<void> {
  const { requestId } = request;
  try {
    const answer = await reception.answer(request);
    if (!reception.server.listening) response.shouldKeepAlive = false;
    send(response, requestId, answer);
  } catch (error) {
    // The answer is written by code that never rejects; if it does, the client still learns nothing but that it failed.
    reception.log.error({ err: error, requestId }, 'the edge failed');
    if (!response.headersSent) send(response, requestId, refusals.internal);
  }
}

function send(response: ServerResponse, requestId: string, { status, contentType, body }: HttpAnswer): void {
  const headers = ['x-amzn-RequestId', requestId, 'Content-Length', String(Buffer.byteLength(body))];
  if (body !== '') headers.push('Content-Type', contentType);
  if (response.req.headers.origin !== undefined) headers.push(...sharedWithOrigins);
  response.writeHead(status, headers);
  response.end(body);
}

function answerProbe(request: IncomingMessage, response: ServerResponse, readiness: () => Readiness): void {
  request.resume();
  const checks = request.url === '/readyz' ? readiness() : {};
  const ok = Object.values(checks).every((check) => check.ok);
  const body = JSON.stringify({ status: ok ? 'ok' : 'unavailable', ...(request.url === '/readyz' ? { checks } : {}) });
  response.writeHead(ok ? 200 : 503, ['Content-Type', 'application/json', 'Content-Length', String(body.length)]);
  response.end(body);
}

function refusal(status: number, type: string, message: string): HttpAnswer {
  return { status, contentType: AWS_JSON, body: JSON.stringify({ __type: type, message }) };
}

/** AWS's answer to what is not an API call at all: another method, path or content type. */
export const unknownOperation: HttpAnswer = {
  status: 404,
  contentType: 'application/xml',
  body: '<UnknownOperationException/>\n',
};

/** Until the service can do anything at all; SDKs try again. */
export const starting = refusal(503, 'ServiceUnavailableException', 'The service is starting.');

/** What is wrong below the API, under the names of AWS's "Common error types". */
const refusals = {
  tooLarge: refusal(413, 'RequestEntityTooLargeException', 'The request entity is too large.'),
  tooManyHeaders: refusal(431, 'RequestEntityTooLargeException', 'The request headers are too large.'),
  busy: refusal(503, 'ServiceUnavailableException', 'The request has failed due to a temporary failure of the server.'),
  timeout: refusal(408, 'RequestTimeoutException', 'The request took too long to arrive.'),
  malformed: refusal(400, 'MalformedHttpRequestException', 'The request is not valid HTTP.'),
  internal: refusal(500, 'KMSInternalException', ''),
} as const satisfies Record<string, HttpAnswer>;

function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { status, body } = brokenBy(error.code);
  const lines = [
    `HTTP/1.1 ${status} `,
    `x-amzn-RequestId: ${randomUUID()}`,
    `Content-Type: ${AWS_JSON}`,
    `Content-Length: ${body.length}`,
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

function brokenBy(code: string | undefined): HttpAnswer {
  if (code === 'HPE_HEADER_OVERFLOW') return refusals.tooManyHeaders;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? refusals.timeout : refusals.malformed;
}

async function drain(server: Server, drainMs: number): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const cut = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearTimeout(cut);
}
