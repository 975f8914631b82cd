import {
  Client,
  credentials as channelCredentials,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { Kms } from '@keyfleet/proto/kms';
import type { KmsClientOptions } from './client.ts';
import { signingInterceptor } from './signing-interceptor.ts';

export interface SigningProxyOptions extends Omit<KmsClientOptions, 'timeoutMs'> {
  /** Path of the Unix socket, which must not exist yet. */
  readonly socket: string;
}

/**
 * Takes unsigned calls on a Unix socket and makes them with a signature over the very bytes that came: for programs
 * that marshal out of reach of any code of ours. Only the owner of this process may open the socket.
 */
export async function startSigningProxy({ socket, ...options }: SigningProxyOptions): Promise<AsyncDisposable> {
  const { address, credentials, region } = options;
  const client = new Client(address, options.channel ?? channelCredentials.createInsecure(), {
    'grpc.default_authority': address,
    interceptors: [signingInterceptor({ credentials, region, host: address })],
  });
  const server = new Server();
  const service: Record<string, ServiceDefinition[string]> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries<ServiceDefinition[string]>(Kms.service)) {
    service[name] = { ...method, requestDeserialize: asBytes, responseSerialize: asBytes };
    implementation[name] = forwardTo(client, method.path);
  }
  server.addService(service, implementation);
  await listen(server, socket);
  return {
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      client.close();
    },
  };
}

function forwardTo(client: Client, path: string): handleUnaryCall<Buffer, Buffer> {
  return (call, answer) => {
    const deadline = call.getDeadline();
    client.makeUnaryRequest(path, asBytes, asBytes, call.request, new Metadata(), { deadline }, (error, message) =>
      error === null ? answer(null, message) : answer(error),
    );
  };
}

async function listen(server: Server, socket: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  } finally {
    process.umask(before);
  }
}

function asBytes(bytes: Buffer): Buffer {
  return bytes;
}
