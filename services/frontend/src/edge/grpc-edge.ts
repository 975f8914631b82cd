import { hash, randomUUID } from 'node:crypto';
import {
  type handleUnaryCall,
  Metadata,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { Kms } from '@keyfleet/proto/kms';
import type { Operation } from '@keyfleet/shared/api/operation';
import { type Message, protoCodec } from '@keyfleet/shared/api/proto';
import { operations } from '@keyfleet/shared/api/registry';
import type { Address } from '@keyfleet/shared/config';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ERROR_TRAILER, grpcErrorOf } from '@keyfleet/shared/errors/grpc-errors';
import { canonicalPath } from '@keyfleet/shared/sigv4/canonical-request';
import type { KmsEdgeDeps } from './aws-json-edge.ts';
import type { EdgeRequest } from './pipeline.ts';

export interface GrpcEdgeOptions extends KmsEdgeDeps {
  readonly address: Pick<Address, 'host' | 'port'>;
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
  const server = new Server(limits);
  const definition: Record<string, ServiceDefinition[string]> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const operation of Object.values<Operation>(operations)) {
    // The signature covers the message's bytes as they came, so they stay bytes until it is verified.
    definition[operation.name] = { ...methodOf(operation), requestDeserialize: asBytes, responseSerialize: asBytes };
    implementation[operation.name] = handlerOf(operation, options);
  }
  server.addService(definition, implementation);
  const port = await listen(server, options.address);
  return { port, [Symbol.asyncDispose]: () => drain(server) };
}

function handlerOf(
  operation: Operation,
  { pipeline, invoke, regions }: GrpcEdgeOptions,
): handleUnaryCall<Buffer, Buffer> {
  const { requestDeserialize, responseSerialize } = methodOf(operation);
  const codec = protoCodec(operation);
  return (call, answer) => {
    const request = requestOf(call);
    pipeline
      .process(request, {
        operation: operation.name,
        signedFor: { service: 'kms', regions },
        parse: () => codec.parseRequest(decode(call.request, requestDeserialize)),
        run: async (input, context) => responseSerialize(codec.formatResponse(await invoke(operation, input, context))),
      })
      .then(
        (message) => answer(null, message, trailerOf(request)),
        (error: unknown) => refuse(answer, error, request),
      );
  };
}

function decode(bytes: Buffer, deserialize: (bytes: Buffer) => object): Message {
  try {
    return deserialize(bytes) as Message;
  } catch (cause) {
    throw new KmsException('SerializationException', '', { cause });
  }
}

function refuse(answer: sendUnaryData<Buffer>, error: unknown, request: EdgeRequest): void {
  const exception = error instanceof KmsException ? error : new KmsException('KMSInternalException');
  const { code, details, trailer } = grpcErrorOf(exception);
  const metadata = trailerOf(request);
  metadata.set(ERROR_TRAILER, trailer);
  answer({ code, details, metadata });
}

function trailerOf({ requestId }: EdgeRequest): Metadata {
  const trailer = new Metadata();
  trailer.set('x-amzn-requestid', requestId);
  return trailer;
}

/** A call as its signature sees it: POST to the method's path, at the authority that the client called. */
function requestOf(call: ServerUnaryCall<Buffer, Buffer>): EdgeRequest {
  const headers = new Map<string, string>();
  for (const [name, values] of Object.entries(call.metadata.toHttp2Headers())) {
    headers.set(name, Array.isArray(values) ? values.join(',') : String(values));
  }
  headers.set('host', call.getHost());
  return {
    method: 'POST',
    path: canonicalPath(call.getPath()),
    query: '',
    headers,
    payloadHash: hash('sha256', call.request, 'hex'),
    requestId: randomUUID(),
    sourceIpAddress: call.getPeer().replace(/:\d+$/, ''),
  };
}

function methodOf({ name }: Operation) {
  return Kms.service[name]!;
}

function asBytes(bytes: Buffer): Buffer {
  return bytes;
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
