import { type ChannelCredentials, Client, credentials as channels, type ServiceError } from '@grpc/grpc-js';
import { answerOfFewFields } from '@keyfleet/proto/fields';
import { Kms } from '@keyfleet/proto/kms';
import { connectionOptions } from '@keyfleet/proto/unary';
import type { Operation, OutputOf } from '@keyfleet/shared/api/operation';
import { type Message, protoCodec, type ProtoCodec } from '@keyfleet/shared/api/proto';
import { type OperationName, operations } from '@keyfleet/shared/api/registry';
import { ERROR_TRAILER, exceptionOf } from '@keyfleet/shared/errors/grpc-errors';
import { isLoopback } from '@keyfleet/shared/tls/plaintext';
import { type Credentials, newSignedCall, type SignedCall } from './signed-call.ts';

export type { Credentials } from './signed-call.ts';
export { KmsException } from '@keyfleet/shared/errors/exceptions';

export interface KmsClientOptions {
  /** `host:port` of a frontend's gRPC edge. */
  readonly address: string;
  /** Credentials, or any AWS credential provider. */
  readonly credentials: Credentials | (() => Promise<Credentials>);
  readonly region: string;
  /** Default: TLS, verified by the system's authorities; unencrypted to this machine. */
  readonly channel?: ChannelCredentials;
  /** Limit for a whole call, in milliseconds; default 10 s. */
  readonly timeoutMs?: number;
}

/** Finds a returning frontend, or a connection that died unnoticed, within seconds; grpc-js alone takes minutes. */
const CONNECTION = {
  ...connectionOptions,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 5_000,
} as const;

type Operations = typeof operations;
type Method<O extends Operation> = (input: Parameters<ProtoCodec<O>['formatRequest']>[0]) => Promise<OutputOf<O>>;

/**
 * A method for every operation of the KMS API, e.g. `kms.CreateKey({ Description: 'mine' })`. Throws KmsException if
 * the service refuses, and grpc-js's ServiceError if the call never reached it.
 */
export type KmsClient = { readonly [N in OperationName]: Method<Operations[N]> } & Disposable;

export function createKmsClient(options: KmsClientOptions): KmsClient {
  const { address, credentials, region, timeoutMs = 10_000 } = options;
  const client = new Client(address, options.channel ?? defaultChannel(address), {
    ...CONNECTION,
    'grpc.default_authority': address,
  });
  const call = newSignedCall(client, { credentials, region, host: address });
  const methods = Object.values<Operation>(operations).map((operation) => [
    operation.name,
    methodOf(operation, call, timeoutMs),
  ]);
  return { ...(Object.fromEntries(methods) as KmsClient), [Symbol.dispose]: () => client.close() };
}

function methodOf(operation: Operation, call: SignedCall, timeoutMs: number): Method<Operation> {
  const { path, requestSerialize, responseDeserialize } = Kms.service[operation.name]!;
  const readMessage = answerOfFewFields(responseDeserialize);
  const codec = protoCodec(operation);
  return async (input) => {
    const message = requestSerialize(codec.formatRequest(input));
    const response = await call(path, message, Date.now() + timeoutMs).catch((error: ServiceError) => {
      throw failureOf(error);
    });
    return operation.output === null ? undefined : codec.parseResponse(readMessage(response) as Message);
  };
}

function failureOf(error: ServiceError): Error {
  const [trailer] = error.metadata?.get(ERROR_TRAILER) ?? [];
  return exceptionOf(error.details, trailer?.toString(), error) ?? error;
}

/** How `address` is reached unless a program says: unencrypted on this machine, and by TLS on every other. */
export function defaultChannel(address: string): ChannelCredentials {
  return isHere(address) ? channels.createInsecure() : channels.createSsl();
}

/** `address`: `host:port`, or any name of gRPC's. */
function isHere(address: string): boolean {
  if (/^unix(-abstract)?:/.test(address)) return true;
  const host = /^\[?(.*?)\]?:\d+$/.exec(address)?.[1];
  return host !== undefined && isLoopback(host);
}
