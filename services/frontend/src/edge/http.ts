import { hash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { AWS_JSON } from '@keyfleet/shared/api/aws-json';
import type { Address } from '@keyfleet/shared/config';
import { headersByName } from '@keyfleet/shared/sigv4';
import type { ServerCertificates } from '@keyfleet/shared/tls/accept-tls';
import type { Log } from '@keyfleet/shared/log';
import { answerPreflight, connectionOf, Exchange, isPreflight } from './exchange.ts';
import { admitStrangers, type HttpPort, listen, optionsOf, type PortLimits } from './http-port.ts';
import {
  type HttpAnswer,
  type HttpRequest,
  isQueryRequest,
  mayBeUnsigned,
  namesAction,
  type Protocol,
  readTarget,
  unknownOperation,
} from './http-message.ts';
import { isOfUnstatedLength } from './parsers.ts';
import type { EdgeRequest } from '../request/attempt.ts';
import type { TrustedProxies } from './trusted-proxies.ts';
import { type UploadLimits, Uploads } from './uploads.ts';

/** One entry for each thing that the service needs; one that is missing says why in `detail`. */
export type Readiness = Readonly<Record<string, ReadinessCheck>>;

interface ReadinessCheck {
  readonly ok: boolean;
  readonly detail?: string;
  /** It works now but soon will not; says what operators should do. */
  readonly trouble?: string;
}

/** Whether nothing is missing: what `/readyz`, the health of gRPC and the metric `keyfleet.ready` say. */
export function isReady(readiness: Readiness): boolean {
  return Object.values(readiness).every(({ ok }) => ok);
}

/** Limits per client. Times in milliseconds, sizes in bytes. */
export interface HttpLimits extends PortLimits, UploadLimits {
  readonly headerCount: number;
  /**
   * The largest legal request holds an attestation document of 256 KiB in base64 and ten grant tokens of 8 KiB, or a
   * policy of 32 KiB with every character escaped: all below half of the default.
   */
  readonly bodyBytes: number;
  /**
   * How much of a body is read before its caller names an access key that exists: enough to give a wrong call its right
   * error. Only a form without a signature, which may hold a web identity token, may be larger.
   */
  readonly strangerBodyBytes: number;
  readonly bufferedBytes: number;
}

export const httpLimits: HttpLimits = {
  headerBytes: 16_384,
  headerCount: 100,
  bodyBytes: 1_048_576,
  strangerBodyBytes: 4_096,
  bufferedBytes: 268_435_456,
  connections: 10_000,
  strangers: 256,
  inFlight: 1_024,
  strangerUploads: 16,
  heedMs: 500,
  unread: { perPeer: 16_777_216, inAll: 67_108_864 },
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 15_000,
  idleTimeoutMs: 75_000,
};

export interface HttpEdgeOptions {
  readonly address: Pick<Address, 'host' | 'port'>;
  /** Undefined: unencrypted. */
  readonly certificates?: ServerCertificates | undefined;
  /** How long requests in flight may continue once the server is stopping. */
  readonly drainMs: number;
  /** After which a client is asked to connect anew. */
  readonly maxConnectionAgeMs: number;
  /** The two protocols of the calls at `/`. */
  readonly kms: Protocol;
  readonly query: Protocol;
  /** Whether a request names an access key that exists. A larger body is not read before that is known. */
  readonly pipeline: { namesKey(headers: EdgeRequest['headers']): boolean | Promise<boolean> };
  readonly readiness: () => Readiness;
  readonly log: Log;
  readonly proxies: TrustedProxies;
  readonly limits?: HttpLimits;
}

/** Starts listening. */
export async function startHttpEdge(options: HttpEdgeOptions): Promise<HttpPort> {
  const limits = options.limits ?? httpLimits;
  const server = newServer(options.certificates, optionsOf(limits));
  server.maxHeadersCount = limits.headerCount + 1;
  server.on('clientError', refuseBrokenRequest);
  const connections = admitStrangers(server, limits, options.proxies);
  const { maxConnectionAgeMs } = options;
  const isTls = options.certificates !== undefined;
  const reception: Reception = { ...options, limits, server, uploads: new Uploads(limits) };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const connection = connectionOf(request, connections);
    if (connection === undefined) return;
    const exchange = new Exchange({ request, response, connection, isTls, maxConnectionAgeMs });
    exchange.begin(() => receive(exchange, reception));
  });
  return listen(server, options.address, { drainMs: options.drainMs, connections });
}

function newServer(certificates: ServerCertificates | undefined, options: ServerOptions): Server {
  if (certificates === undefined) return createServer(options);
  const server = createTlsServer({ ...options, ...certificates.options });
  certificates.follow(server);
  return server;
}

interface Reception extends Pick<HttpEdgeOptions, 'kms' | 'query' | 'pipeline' | 'readiness' | 'log'> {
  readonly limits: HttpLimits;
  readonly server: Server;
  readonly uploads: Uploads;
}

function receive(exchange: Exchange, reception: Reception): void {
  const { request, response } = exchange;
  const { limits, server } = reception;
  if (!server.listening) response.shouldKeepAlive = false;
  const target = readTarget(request.url ?? '');
  if (target?.path === '/healthz' || target?.path === '/readyz') {
    const answer = probeAnswer(target.path, reception.readiness);
    return exchange.tell(() => exchange.write(answer));
  }
  if (request.rawHeaders.length > 2 * limits.headerCount) return exchange.send(refusals.tooManyHeaders);
  if (target?.path !== '/') return exchange.send(unknownOperation);
  if (isPreflight(request)) return exchange.tell(() => answerPreflight(request, response));
  // Without a body, only a query can carry a call: to STS.
  if (request.method !== 'POST' && !(request.method === 'GET' && namesAction(target.query))) {
    return exchange.send(unknownOperation);
  }
  const headers = headersByName(request.rawHeaders);
  // RFC 9112, 3.2.2: the host in the request line is the one called, whatever the header says.
  if (target.authority !== undefined) headers.set('host', target.authority);
  receiveBody(exchange, { query: target.query, headers }, reception);
}

type Head = Pick<HttpRequest, 'query' | 'headers'>;

/** Reads little from anyone, and more only from callers that name an access key that exists. */
function receiveBody(exchange: Exchange, head: Head, reception: Reception): void {
  const { limits, uploads } = reception;
  // Without a body there is nothing to wait for, whatever the method.
  const length = Number(head.headers.get('content-length') ?? 0);
  if (length > limits.bodyBytes) return exchange.send(refusals.tooLarge);
  const read = (): void => {
    const release = uploads.receive(exchange.request, exchange.response, {
      length,
      done: (body) =>
        respond(exchange, reception, { request: requestOf(exchange, head, body), release: () => release() }),
      refuse: (reason) => exchange.send(refusals[reason]),
    });
  };
  if (length <= limits.strangerBodyBytes) return read();
  if (mayBeUnsigned(head, length)) return exchange.beginBody(read);
  // Treats it as a request without a body: a stranger gets the same answer, and its body is never read.
  const refuse = (): void => respond(exchange, reception, { request: requestOf(exchange, head, NO_BODY) });
  const named = reception.pipeline.namesKey(head.headers);
  if (named instanceof Promise) named.then((isNamed) => (isNamed ? exchange.beginBody(read) : refuse()), refuse);
  else if (named) exchange.beginBody(read);
  else refuse();
}

const NO_BODY = Buffer.alloc(0);

function requestOf(exchange: Exchange, head: Head, body: Buffer): HttpRequest {
  return {
    ...head,
    body,
    method: exchange.request.method ?? '',
    path: '/',
    payloadHash: hash('sha256', body, 'hex'),
    requestId: exchange.requestId,
    sourceIpAddress: exchange.sourceIpAddress,
    isSecure: exchange.isSecure,
    onGenuine: () => exchange.prove(),
  };
}

interface Received {
  readonly request: HttpRequest;
  /** The body is no longer needed, though the answer may have to wait. */
  readonly release?: () => void;
}

function respond(exchange: Exchange, reception: Reception, { request, release }: Received): void {
  const protocol = isQueryRequest(request) ? reception.query : reception.kms;
  protocol.answer(request).then(
    (answer) => {
      request.body.fill(0);
      release?.();
      if (!reception.server.listening) exchange.response.shouldKeepAlive = false;
      exchange.send(answer);
    },
    (error: unknown) => {
      // The code that writes the answer never rejects; if it does, the client learns only that the request failed.
      reception.log.error({ err: error, requestId: exchange.requestId }, 'the edge failed');
      exchange.send(refusals.internal);
    },
  );
}

function probeAnswer(url: '/healthz' | '/readyz', readiness: () => Readiness): HttpAnswer {
  const checks = url === '/readyz' ? readiness() : {};
  const ok = isReady(checks);
  const body = JSON.stringify({ status: ok ? 'ok' : 'unavailable', ...(url === '/readyz' ? { checks } : {}) });
  return { status: ok ? 200 : 503, contentType: 'application/json', body };
}

function refusal(status: number, type: string, message: string): HttpAnswer {
  return { status, contentType: AWS_JSON, body: JSON.stringify({ __type: type, message }) };
}

/** While the service can do nothing yet; SDKs retry. */
export const starting = refusal(503, 'ServiceUnavailableException', 'The service is starting.');

/** Errors below the API, named as in AWS's "Common error types". */
const refusals = {
  tooLarge: refusal(413, 'RequestEntityTooLargeException', 'The request entity is too large.'),
  lengthRequired: refusal(411, 'MissingContentLengthException', 'The request must state the length of its body.'),
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
  const { status, body } = brokenBy(error.code, socket);
  const lines = [
    `HTTP/1.1 ${status} `,
    `x-amzn-RequestId: ${randomUUID()}`,
    `Content-Type: ${AWS_JSON}`,
    `Content-Length: ${body.length}`,
    'Connection: close',
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body.toString()}`);
  // Ends it without waiting for the other side to do the same.
  socket.destroySoon();
}

function brokenBy(code: string | undefined, socket: Socket): HttpAnswer {
  if (code === 'HPE_HEADER_OVERFLOW') return refusals.tooManyHeaders;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return refusals.timeout;
  return isOfUnstatedLength(socket) ? refusals.lengthRequired : refusals.malformed;
}
