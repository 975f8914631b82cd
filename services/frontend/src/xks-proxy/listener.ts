import { hash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { secureContextOf, type TlsFiles } from '@keyfleet/shared/tls/tls-files';
import { headersByName } from '@keyfleet/shared/sigv4';
import { drain } from '../edge/http.ts';
import { type ProxyAnswer, refusal } from './answers.ts';
import type { XksProxyConfig } from './config.ts';
import type { ProxyRequest, XksPath } from './proxy.ts';

/** Plaintext, associated data and requestMetadata at their largest take less than half of this. */
const MAX_BODY = 65_536;
const MAX_HEADERS = 8_192;
const MAX_CONNECTIONS = 1_024;
/** Limit for receiving a whole request, however slowly it trickles in. */
const RECEIVE_MS = 5_000;
const IDLE_MS = 75_000;

export interface ListenerOptions {
  readonly config: XksProxyConfig;
  readonly tls: TlsFiles;
  /** By prefix. */
  readonly paths: ReadonlyMap<string, XksPath>;
  readonly drainMs: number;
}

/** Starts listening. Disposing lets requests in flight finish, then closes what is left. */
export async function startListener({ config, tls, paths, drainMs }: ListenerOptions): Promise<AsyncDisposable> {
  const server = newServer(config, tls);
  server.maxConnections = MAX_CONNECTIONS;
  let inFlight = 0;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (inFlight >= config.maxInFlight) {
      request.resume();
      return send(response, refusal('ThrottlingException'));
    }
    inFlight++;
    response.once('close', () => inFlight--);
    receive(request, response, paths).catch(() => send(response, refusal('InternalException')));
  });
  server.listen(config.listen.port, config.listen.host);
  await once(server, 'listening');
  return { [Symbol.asyncDispose]: () => drain(server, drainMs) };
}

/** Uses new certificates and authorities as soon as they are read. */
function newServer({ client }: XksProxyConfig, tls: TlsFiles): Server {
  const mutual = client && { requestCert: true, rejectUnauthorized: true };
  const limits = { maxHeaderSize: MAX_HEADERS, requestTimeout: RECEIVE_MS, headersTimeout: RECEIVE_MS } as const;
  const server = createServer({ ...secureContextOf(tls.material), keepAliveTimeout: IDLE_MS, ...limits, ...mutual });
  tls.onChange(() => server.setSecureContext(secureContextOf(tls.material)));
  if (client !== undefined) {
    server.on('secureConnection', (socket: TLSSocket) => {
      if (socket.getPeerCertificate().subject?.CN !== client.commonName) socket.destroy();
    });
  }
  return server;
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  paths: ListenerOptions['paths'],
): Promise<void> {
  const found = /^(.*)\/kms\/xks\/v1(\/.*)$/.exec(request.url ?? '');
  const path = found && paths.get(found[1]!);
  if (!found || !path) return refuse(request, response, refusal('InvalidUriPathException'));
  if (request.method !== 'POST') {
    return refuse(request, response, { status: 405, body: JSON.stringify({ errorName: 'ValidationException' }) });
  }
  const body = await read(request);
  if (body === undefined) return refuse(request, response, refusal('ValidationException'));
  const answer = await path.answer(requestOf(request, found[2]!, body));
  body.fill(0);
  send(response, answer);
}

/** Undefined if it is too large. */
async function read(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function requestOf(request: IncomingMessage, resource: string, body: Buffer): ProxyRequest {
  return {
    method: 'POST',
    path: request.url ?? '',
    query: '',
    headers: headersByName(request.rawHeaders),
    payloadHash: hash('sha256', body, 'hex'),
    requestId: randomUUID(),
    sourceIpAddress: request.socket.remoteAddress ?? '',
    isSecure: true,
    onGenuine: () => {},
    resource,
    body,
  };
}

/** For a request whose body is not read: its connection is closed. */
function refuse(request: IncomingMessage, response: ServerResponse, answer: ProxyAnswer): void {
  response.shouldKeepAlive = false;
  request.resume();
  send(response, answer);
}

function send(response: ServerResponse, { status, body }: ProxyAnswer): void {
  if (response.destroyed || response.headersSent) return;
  const headers = { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) };
  response.writeHead(status, headers).end(body);
}
