import { type Client, Metadata } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { answerOfFewFields } from './fields.ts';

/**
 * How every client of ours connects. A service that comes back is found within seconds, also at another address; by
 * default grpc-js waits for longer.
 */
export const connectionOptions = {
  // Two minutes.
  'grpc.max_reconnect_backoff_ms': 2_000,
  // Half a minute, in which every worker of a rolling restart on Kubernetes gets a new address.
  'grpc.dns_min_time_between_resolutions_ms': 1_000,
  // A proxy that the environment names would read what is unencrypted because it stays on this machine.
  'grpc.enable_http_proxy': 0,
} as const;

/** Of channels between our own services. */
export const channelOptions = {
  ...connectionOptions,
  // A page of domain tokens is 1 MiB; a single token may have 3.
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
} as const;

/**
 * A unary call as a promise. `timeoutMs` is not optional: no call of ours may wait for ever. `method` as in
 * `Hsm.service.Describe`. Throws grpc-js's ServiceError.
 */
export function unary<Request extends object, Response extends object>(
  client: Client,
  method: MethodDefinition<Request, object, object, Response>,
  request: Request,
  timeoutMs: number,
): Promise<Response> {
  const { path, requestSerialize, responseDeserialize } = method;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      answerOfFewFields(responseDeserialize),
      request,
      new Metadata(),
      { deadline: Date.now() + timeoutMs },
      (error, response) => {
        if (error !== null) reject(error);
        else resolve(response as Response);
      },
    );
  });
}
