import {
  Client,
  type handleUnaryCall,
  Server,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { Kms } from '@keyfleet/proto/kms';
import { connectionOptions } from '@keyfleet/proto/unary';
import { defaultChannel, type KmsClientOptions } from './client.ts';
import { listenPrivately } from './private-socket.ts';
import { newSignedCall, type SignedCall } from './signed-call.ts';

export interface SigningProxyOptions extends Omit<KmsClientOptions, 'timeoutMs'> {
  /** Path of the Unix socket, which must not exist yet. */
  readonly socket: string;
}

/**
 * Accepts unsigned calls on a Unix socket and forwards them with a signature over the exact bytes received: for
 * programs that marshal out of our code's reach. Only the owner of this process may open the socket.
 */
export async function startSigningProxy({ socket, ...options }: SigningProxyOptions): Promise<AsyncDisposable> {
  const { address, credentials, region } = options;
  const client = new Client(address, options.channel ?? defaultChannel(address), {
    ...connectionOptions,
    'grpc.default_authority': address,
  });
  const signed = newSignedCall(client, { credentials, region, host: address });
  const server = new Server();
  const service: Record<string, ServiceDefinition[string]> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries<ServiceDefinition[string]>(Kms.service)) {
    service[name] = { ...method, requestDeserialize: asBytes, responseSerialize: asBytes };
    implementation[name] = forwardTo(signed, method.path);
  }
  server.addService(service, implementation);
  await listenPrivately(server, socket);
  return {
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      client.close();
    },
  };
}

function forwardTo(signed: SignedCall, path: string): handleUnaryCall<Buffer, Buffer> {
  return (call, answer) => {
    void signed(path, call.request, call.getDeadline()).then((message) => answer(null, message), answer);
  };
}

function asBytes(bytes: Buffer): Buffer {
  return bytes;
}
