import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { headersByName } from '@keyfleet/shared/sigv4';
import { ServerCertificates } from '@keyfleet/shared/tls/accept-tls';
import type { TlsFiles } from '@keyfleet/shared/tls/tls-files';
import { connectionOf, Exchange } from '../edge/exchange.ts';
import { admitStrangers, type HttpPort, listen, optionsOf, type PortLimits } from '../edge/http-port.ts';
import { httpLimits } from '../edge/http.ts';
import { TrustedProxies } from '../edge/trusted-proxies.ts';
import { Uploads } from '../edge/uploads.ts';
import { type ProxyAnswer, refusal } from './answers.ts';
import type { XksProxyConfig } from './config.ts';
import type { ProxyRequest, XksPath } from './proxy.ts';

/** Plaintext, associated data and requestMetadata at their largest take less than half of this. */
const MAX_BODY = 65_536;

/** Requests are small, and a caller of this API waits for a quarter of a second. */
export const listenerLimits: PortLimits = {
  ...httpLimits,
  headerBytes: 8_192,
  connections: 1_024,
  // What is worked for is limited for all callers together.
  inFlight: Number.POSITIVE_INFINITY,
  requestTimeoutMs: 5_000,
};

export interface ListenerOptions {
  readonly config: XksProxyConfig;
  readonly tls: TlsFiles;
  /** By prefix. */
  readonly paths: ReadonlyMap<string, XksPath>;
  readonly drainMs: number;
  /** After which a client is asked to connect anew. */
  readonly maxConnectionAgeMs: number;
  readonly limits?: PortLimits;
}

/** Starts listening. */
export async function startListener(options: ListenerOptions): Promise<HttpPort> {
  const { config, tls, paths, drainMs, maxConnectionAgeMs, limits = listenerLimits } = options;
  const server = newServer(config, tls, limits);
  // Nothing in front of this port ends TLS.
  const connections = admitStrangers(server, limits, new TrustedProxies([]));
  const uploads = new Uploads({ bodyBytes: MAX_BODY, bufferedBytes: limits.connections * MAX_BODY });
  const reception: Reception = { paths, uploads, places: new Places(config.maxInFlight) };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const connection = connectionOf(request, connections);
    if (connection === undefined) return;
    const exchange = new Exchange({ request, response, connection, isTls: true, maxConnectionAgeMs });
    exchange.begin(() => receive(exchange, reception));
  });
  return listen(server, config.listen, { drainMs, connections });
}

function newServer({ client }: XksProxyConfig, tls: TlsFiles, limits: PortLimits): Server {
  const certificates = new ServerCertificates([tls], { mutual: client !== undefined });
  const server = createServer({ ...optionsOf(limits), ...certificates.options });
  certificates.follow(server);
  if (client !== undefined) {
    server.on('secureConnection', (socket: TLSSocket) => {
      if (socket.getPeerCertificate().subject?.CN !== client.commonName) socket.destroy();
    });
  }
  return server;
}

interface Reception {
  readonly paths: ListenerOptions['paths'];
  readonly uploads: Uploads;
  readonly places: Places;
}

/** How many requests are worked for at once. Only a genuine one takes a place. */
class Places {
  #free: number;

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  take(): void {
    if (this.#free === 0) throw new KmsException('ThrottlingException', 'Rate exceeded');
    this.#free--;
  }

  leave(): void {
    this.#free++;
  }
}

function receive(exchange: Exchange, reception: Reception): void {
  const { request, response } = exchange;
  const [, prefix = '', resource] = /^(.*)\/kms\/xks\/v1(\/.*)$/.exec(request.url ?? '') ?? [];
  const path = reception.paths.get(prefix);
  if (path === undefined || resource === undefined) return send(exchange, refusal('InvalidUriPathException'));
  if (request.method !== 'POST') {
    return send(exchange, { status: 405, body: JSON.stringify({ errorName: 'ValidationException' }) });
  }
  const fail = (): void => send(exchange, refusal('InternalException'));
  reception.uploads.receive(request, response, {
    length: Number(request.headers['content-length'] ?? 0),
    done: (body) => void respond(exchange, reception.places, { path, resource, body }).catch(fail),
    refuse: (reason) => send(exchange, refusal(reason === 'busy' ? 'ThrottlingException' : 'ValidationException')),
  });
}

interface Received extends Pick<ProxyRequest, 'resource' | 'body'> {
  readonly path: XksPath;
}

async function respond(exchange: Exchange, places: Places, { path, resource, body }: Received): Promise<void> {
  let isWorkedFor = false;
  const onGenuine = (): void => {
    exchange.prove();
    places.take();
    isWorkedFor = true;
  };
  const { request, requestId, sourceIpAddress, isSecure } = exchange;
  try {
    const answer = await path.answer({
      method: 'POST',
      path: request.url ?? '',
      query: '',
      headers: headersByName(request.rawHeaders),
      payloadHash: hash('sha256', body, 'hex'),
      requestId,
      sourceIpAddress,
      isSecure,
      onGenuine,
      resource,
      body,
    });
    send(exchange, answer);
  } finally {
    if (isWorkedFor) places.leave();
    body.fill(0);
  }
}

function send(exchange: Exchange, { status, body }: ProxyAnswer): void {
  exchange.send({ status, body, contentType: 'application/json' });
}
