import { once } from 'node:events';
import type { Server, ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { Address } from '@keyfleet/shared/config';
import { type ConnectionLimits, Connections } from './connections.ts';
import { stopAtUnstatedLengths } from './parsers.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/** Limits per client of a port for HTTP. Times in milliseconds, sizes in bytes. */
export interface PortLimits extends ConnectionLimits {
  /** Room for a signature and a long session token. */
  readonly headerBytes: number;
  /** For the headers, and for the whole request, however slowly it arrives. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Longer than the idle time of common load balancers, so that they close first. */
  readonly idleTimeoutMs: number;
}

/** For the making of a server. */
export function optionsOf(limits: PortLimits): ServerOptions {
  return {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
  };
}

/** Has strangers share the server's connections fairly. Call before it listens. */
export function admitStrangers(server: Server, limits: PortLimits, proxies: TrustedProxies): Connections {
  // Also ends a connection whose client does not read its answer.
  server.timeout = limits.requestTimeoutMs + limits.idleTimeoutMs;
  const connections = new Connections(limits, proxies);
  const [listener] = server.listeners('connection') as ((socket: Socket) => void)[];
  const serve = stopAtUnstatedLengths(server, listener!.bind(server));
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => connections.admit(socket, serve));
  // node:http would refuse other expectations than 100-continue itself, as often as anybody likes.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  return connections;
}

interface Draining {
  readonly drainMs: number;
  readonly connections: Pick<Connections, 'close'>;
}

export interface HttpPort extends AsyncDisposable {
  readonly port: number;
}

/** Disposing stops accepting connections, lets requests in flight finish, then cuts off the rest. */
export async function listen(
  server: Server,
  { host, port }: Pick<Address, 'host' | 'port'>,
  draining: Draining,
): Promise<HttpPort> {
  server.listen(port, host);
  await once(server, 'listening');
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    [Symbol.asyncDispose]: () => drain(server, draining),
  };
}

/** Takes no more connections, ends the idle ones, and lets the others finish for as long as they may. */
async function drain(server: Server, { drainMs, connections }: Draining): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  connections.close();
  const cut = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearTimeout(cut);
}
