import {
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type StatusObject,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server as Listener, type Socket } from 'node:net';
import { monotonicClock } from '../clock.ts';
import type { Address } from '../config.ts';
import { PeerLimit } from '../request-limit.ts';
import { acceptTls, ServerCertificates } from '../tls/accept-tls.ts';
import type { TlsFiles } from '../tls/tls-files.ts';
import { Admission, type MethodLimit } from './admission.ts';
import { Connections } from './connections.ts';
import { addHealth, healthService } from './health.ts';
import { inject } from './streams.ts';

export interface GrpcServerOptions<Service extends ServiceDefinition> {
  readonly address: Pick<Address, 'host' | 'port'>;
  /** Mutual TLS; undefined: unencrypted. */
  readonly tls: TlsFiles | undefined;
  readonly service: Service;
  readonly handlers: UntypedServiceImplementation;
  readonly limits: Readonly<Record<keyof Service, MethodLimit>>;
  /** Where only grpc.health.v1 answers, without TLS: an orchestrator's probes have no certificate. */
  readonly health?: Pick<Address, 'host' | 'port'> | undefined;
  /** What grpc.health.v1 reports for the service. The server as a whole is SERVING while it listens. */
  readonly isServing: () => boolean;
  /** How long calls may continue after the server stops listening. */
  readonly drainMs: number;
}

/** Limits on the cost of one connection. */
const CONNECTION = {
  // None of our services needs more at once.
  'grpc.max_concurrent_streams': 8,
  // In megabytes.
  'grpc-node.max_session_memory': 16,
  'grpc.max_connection_idle_ms': 60_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // Nobody uses it, and it costs every call.
  'grpc.enable_channelz': 0,
} as const;

/** An orchestrator probes every few seconds. */
const HEALTH = { maxBytes: 1024, rate: { perSecond: 20, burst: 100 } };

/**
 * A port of our services, open to callers that are not authenticated yet: everything they may cost is bounded. Throws
 * if the address is taken.
 */
export async function startGrpcServer<Service extends ServiceDefinition>(
  options: GrpcServerOptions<Service>,
): Promise<GrpcServer> {
  const { address, tls, service, handlers, limits, isServing, drainMs } = options;
  const names = { '': () => true, [nameOf(service)]: isServing };
  const probes =
    options.health && (await openPort({ address: options.health, limits: healthLimits(), names, drainMs: 0 }));
  try {
    const own = new Map(Object.entries(service).map(([name, { path }]) => [path, limits[name]!] as const));
    const add = (server: Server): void => server.addService(service, handlers);
    return await openPort({ address, tls, limits: new Map([...own, ...healthLimits()]), names, add, drainMs, probes });
  } catch (error) {
    await probes?.[Symbol.asyncDispose]();
    throw error;
  }
}

interface PortOptions {
  readonly address: Pick<Address, 'host' | 'port'>;
  readonly tls?: TlsFiles | undefined;
  /** By path. */
  readonly limits: ReadonlyMap<string, MethodLimit>;
  /** What grpc.health.v1 reports for each name. */
  readonly names: Readonly<Record<string, () => boolean>>;
  /** Adds what the server serves besides health. */
  readonly add?: (server: Server) => void;
  readonly drainMs: number;
  /** Closed together with the server. */
  readonly probes?: AsyncDisposable | undefined;
}

async function openPort({ address, tls, limits, names, add, drainMs, probes }: PortOptions): Promise<GrpcServer> {
  const connections = new Connections();
  const admission = new Admission(connections, limits);
  const server = new Server({
    ...CONNECTION,
    'grpc.max_receive_message_length': Math.max(...[...limits.values()].map(({ maxBytes }) => maxBytes)),
    interceptors: [admission.interceptor],
  });
  add?.(server);
  const health = addHealth(server, names);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const read = (socket: Socket): void => inject(injector, socket);
  const serve = tls === undefined ? read : acceptTls(new ServerCertificates([tls], { mutual: true }), read);
  const listener = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    connections.add(socket, () => serve(socket));
  });
  listener.listen(address.port, address.host);
  await once(listener, 'listening');
  return new GrpcServer({ server, listener, health, admission, drainMs, probes });
}

interface GrpcServerParts {
  readonly server: Server;
  readonly listener: Listener;
  readonly health: Disposable;
  readonly admission: Admission;
  readonly drainMs: number;
  readonly probes: AsyncDisposable | undefined;
}

export class GrpcServer implements AsyncDisposable {
  readonly #parts: GrpcServerParts;
  readonly port: number;

  constructor(parts: GrpcServerParts) {
    this.#parts = parts;
    this.port = (parts.listener.address() as AddressInfo).port;
  }

  /** The sender of the call with this metadata is proven. */
  prove(metadata: Metadata): void {
    this.#parts.admission.prove(metadata);
  }

  /** Takes no more calls, and lets running ones finish within the time allowed. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { server, listener, health, admission, drainMs, probes } = this.#parts;
    const probesEnd = probes?.[Symbol.asyncDispose]();
    health[Symbol.dispose]();
    listener.close();
    const cut = setTimeout(() => server.forceShutdown(), drainMs);
    await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    clearTimeout(cut);
    admission[Symbol.dispose]();
    await probesEnd;
  }
}

/** A unary handler. Errors are answered as `statusOf` says. */
export function answering(statusOf: (error: unknown, path: string) => Partial<StatusObject>) {
  return <Request, Response>(
      handle: (request: Request) => Response | Promise<Response>,
    ): handleUnaryCall<Request, Response> =>
    (call, done) =>
      void (async () => {
        try {
          done(null, await handle(call.request));
        } catch (error) {
          done(statusOf(error, call.getPath()));
        }
      })();
}

function healthLimits(): Map<string, MethodLimit> {
  const rate = new PeerLimit(monotonicClock, HEALTH.rate);
  return new Map(Object.values(healthService).map(({ path }) => [path, { maxBytes: HEALTH.maxBytes, rate }] as const));
}

/** The name in its methods' paths: keyfleet.hsm.v1.Hsm. */
function nameOf(service: ServiceDefinition): string {
  return Object.values(service)[0]!.path.split('/')[1]!;
}
