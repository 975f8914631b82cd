import { Server, ServerCredentials, ServerInterceptingCall, type ServiceDefinition } from '@grpc/grpc-js';
import { Kms, kmsDefinition } from '@keyfleet/proto/kms';
import type { Operation } from '@keyfleet/shared/api/operation';
import { type Message, protoCodec } from '@keyfleet/shared/api/proto';
import { operations } from '@keyfleet/shared/api/registry';
import type { Address } from '@keyfleet/shared/config';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KmsEdgeDeps } from './aws-json-edge.ts';
import { type ServeCall, serveUnary } from './grpc-call.ts';
import { addHealth } from './grpc-health.ts';
import type { Readiness } from './http.ts';
import { assertHashed, explained } from './message-hash.ts';

export interface GrpcEdgeOptions extends KmsEdgeDeps {
  readonly address: Pick<Address, 'host' | 'port'>;
  readonly readiness: () => Readiness;
  /** Whether server reflection is on. */
  readonly reflection: boolean;
}

export interface GrpcEdge extends AsyncDisposable {
  readonly port: number;
}

/** What one client may cost; sizes and times as for HTTP. */
const limits = {
  // As for HTTP, although protobuf needs a third less for the same request.
  'grpc.max_receive_message_length': 1_048_576,
  'grpc.max_concurrent_streams': 1_000,
  // Megabytes of one connection.
  'grpc-node.max_session_memory': 16,
  'grpc.max_connection_idle_ms': 300_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
} as const;

const DRAIN_MS = 10_000;

/** Serves every operation as a method of one Kms service, through the pipeline that HTTP goes through. */
export async function startGrpcEdge(options: GrpcEdgeOptions): Promise<GrpcEdge> {
  const routes = new Map(
    Object.values<Operation>(operations).map((operation) => [methodOf(operation).path, routeOf(operation, options)]),
  );
  const server = new Server({
    ...limits,
    interceptors: [
      ({ path }, call) => {
        const route = routes.get(path);
        return route === undefined ? new ServerInterceptingCall(call) : serveUnary(path, call, route);
      },
    ],
  });
  server.addService(asBytes(Kms.service), {});
  const health = addHealth(server, options.readiness);
  if (options.reflection) await addReflection(server);
  const port = await listen(server, options.address);
  return {
    port,
    async [Symbol.asyncDispose]() {
      health[Symbol.dispose]();
      await drain(server);
    },
  };
}

function routeOf(operation: Operation, { pipeline, invoke, regions }: GrpcEdgeOptions): ServeCall {
  const { requestDeserialize, responseSerialize } = methodOf(operation);
  const codec = protoCodec(operation);
  return async ({ request, readMessage }) => {
    try {
      return await pipeline.process(request, {
        operation: operation.name,
        signedFor: { service: 'kms', regions },
        parse: async () => {
          const message = await readMessage();
          assertHashed(message, request);
          return codec.parseRequest(decode(message, requestDeserialize));
        },
        run: async (input, call) => responseSerialize(codec.formatResponse(await invoke(operation, input, call))),
      });
    } catch (error) {
      throw explained(error, request);
    }
  };
}

/** Loaded where it is wanted only. */
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

/** The signature covers the message's bytes as they came, so they stay bytes until it is verified. */
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

function listen(server: Server, { host, port }: Pick<Address, 'host' | 'port'>): Promise<number> {
  const at = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(at, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
}

async function drain(server: Server): Promise<void> {
  const cut = setTimeout(() => server.forceShutdown(), DRAIN_MS);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  clearTimeout(cut);
}
