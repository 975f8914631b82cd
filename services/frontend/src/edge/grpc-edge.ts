import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import {
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { Kms, kmsDefinition } from '@keyfleet/proto/kms';
import type { Operation, OutputOf } from '@keyfleet/shared/api/operation';
import { type Message, protoCodec } from '@keyfleet/shared/api/proto';
import { operations } from '@keyfleet/shared/api/registry';
import type { Address } from '@keyfleet/shared/config';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { acceptTls, type ServerCertificates } from '@keyfleet/shared/tls/accept-tls';
import { addHealth, healthService } from '@keyfleet/shared/grpc/health';
import { inject, streamOf } from '@keyfleet/shared/grpc/streams';
import type { KmsEdgeDeps } from './aws-json-edge.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { type ServeCall, serveUnary } from './grpc-call.ts';
import { limitUnknownCalls, servePublic } from './grpc-public-call.ts';
import { httpLimits, isReady, type Readiness } from './http.ts';
import type { TrustedProxies } from './trusted-proxies.ts';
import { assertFewFields, shapeOf } from './message-fields.ts';
import { assertHashed, explained } from './message-hash.ts';
import { StrangersCalls } from './strangers-calls.ts';

export interface GrpcEdgeOptions extends KmsEdgeDeps {
  readonly address: Pick<Address, 'host' | 'port'>;
  /** Undefined: unencrypted. */
  readonly certificates?: ServerCertificates | undefined;
  /** How long calls may continue once the server is stopping. */
  readonly drainMs: number;
  /** After which a client is told to connect anew (GOAWAY). */
  readonly maxConnectionAgeMs: number;
  readonly readiness: () => Readiness;
  readonly proxies: TrustedProxies;
  /** Whether to offer server reflection. */
  readonly reflection: boolean;
}

export interface GrpcEdge extends AsyncDisposable {
  readonly port: number;
}

/** Limits per client; sizes and times as for HTTP. */
const limits = {
  // As for HTTP, although the same request is a third smaller in protobuf.
  'grpc.max_receive_message_length': 1_048_576,
  // A client holds its further calls back itself; each call of a stranger costs us a tenth of a millisecond before we
  // can refuse it.
  'grpc.max_concurrent_streams': 64,
  // Megabytes per connection.
  'grpc-node.max_session_memory': 16,
  'grpc.max_connection_idle_ms': 300_000,
  // For the calls of a connection that is old: longer than any takes. Then it is cut, also for who watches the health.
  'grpc.max_connection_age_grace_ms': 60_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  // Nobody reads it, and it costs every call.
  'grpc.enable_channelz': 0,
} as const;

/** Our own client has one connection, known after a few calls; a load balancer has some more. */
const connectionLimits: ConnectionLimits = {
  connections: 10_000,
  strangers: 64,
  inFlight: 1_024,
  strangerUploads: 0,
  heedMs: 1_000,
  unread: httpLimits.unread,
};

/** Serves every operation as a method of one Kms service, through the same pipeline as HTTP. */
export async function startGrpcEdge(options: GrpcEdgeOptions): Promise<GrpcEdge> {
  const routes = new Map(
    Object.values<Operation>(operations).map((operation) => [methodOf(operation).path, routeOf(operation, options)]),
  );
  const connections = new Connections(connectionLimits, options.proxies);
  const open = new Set([
    ...Object.values(healthService).map(({ path }) => path),
    ...(options.reflection ? reflected : []),
  ]);
  const unknown = limitUnknownCalls(connections, (path) => routes.has(path) || open.has(path));
  const isTls = options.certificates !== undefined;
  const strangersCalls = new StrangersCalls(connections);
  const server = new Server({
    ...limits,
    // grpc-js adds or takes a tenth, by chance.
    'grpc.max_connection_age_ms': options.maxConnectionAgeMs,
    interceptors: [
      ({ path }, call) => {
        const route = routes.get(path);
        const connection = connections.of(call.getConnectionInfo());
        if (connection === undefined) return refused(call);
        if (route === undefined) return servePublic(path, { call, connection });
        return serveUnary(path, { call, connection, isTls, strangersCalls }, route);
      },
    ],
  });
  server.addService(asBytes(Kms.service), {});
  // Public, as `/readyz` is: SERVING while nothing is missing.
  const isServing = (): boolean => isReady(options.readiness());
  const health = addHealth(server, { '': isServing, [serviceName]: isServing });
  if (options.reflection) await addReflection(server);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const read = (socket: Socket): void => inject(injector, socket);
  const serve = options.certificates ? acceptTls(options.certificates, read) : read;
  const listener = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    connections.admit(socket, serve);
  });
  listener.listen(options.address.port, options.address.host);
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      health[Symbol.dispose]();
      listener.close();
      connections.close();
      await drain(server, options.drainMs);
      unknown[Symbol.dispose]();
      strangersCalls[Symbol.dispose]();
    },
  };
}

/** Nobody counts what such a connection costs: it has closed, or should. */
function refused(call: ServerInterceptingCallInterface): ServerInterceptingCall {
  streamOf(call).session?.destroy();
  return new ServerInterceptingCall(call);
}

function routeOf(operation: Operation, { pipeline, regions }: GrpcEdgeOptions): ServeCall {
  const { requestDeserialize, responseSerialize } = methodOf(operation);
  const codec = protoCodec(operation);
  const shape = shapeOf(`${operation.name}Request`);
  return async ({ request, readMessage }) => {
    let message: Buffer | undefined;
    try {
      return await pipeline.process(request, {
        service: 'kms',
        name: operation.name,
        operation,
        signedFor: { service: 'kms', regions },
        parse: async () => {
          message = await readMessage();
          assertHashed(message, request);
          assertFewFields(message, shape);
          return codec.parseRequest(decode(message, requestDeserialize));
        },
        format: (output) => responseSerialize(codec.formatResponse(output as OutputOf<Operation>)),
      });
    } catch (error) {
      throw explained(error, request);
    } finally {
      message?.fill(0);
    }
  };
}

const reflected = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

/** Loaded only where it is enabled. */
async function addReflection(server: Server): Promise<void> {
  const { ReflectionService } = await import('@grpc/reflection');
  new ReflectionService(kmsDefinition).addToServer(server);
}

function decode(bytes: Buffer, deserialize: (bytes: Buffer) => object): Message {
  try {
    return deserialize(bytes) as Message;
  } catch (cause) {
    throw new KmsException('SerializationException', '', { cause });
  }
}

/** The signature covers the message's bytes as they arrived, so they stay bytes until it is verified. */
function asBytes(service: ServiceDefinition): ServiceDefinition {
  const same = (bytes: Buffer): Buffer => bytes;
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => [
      name,
      { ...method, requestDeserialize: same, responseSerialize: same },
    ]),
  );
}

function methodOf({ name }: Operation) {
  return Kms.service[name]!;
}

async function drain(server: Server, drainMs: number): Promise<void> {
  const cut = setTimeout(() => server.forceShutdown(), drainMs);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  clearTimeout(cut);
}

/** The server's only service. */
const serviceName = Object.values(Kms.service)[0]!.path.split('/')[1]!;
