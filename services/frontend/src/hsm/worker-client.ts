import type { ChannelCredentials } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { connectionOptions, unary } from '@keyfleet/proto/unary';
import type { WorkerClient } from './worker-link.ts';

const NEGOTIATE_TIMEOUT_MS = 2000;

/**
 * The gRPC client of one hsm-worker. Everything in a session is sealed and signed in its own right, whatever the
 * channel.
 */
export function newWorkerClient(address: string, credentials: ChannelCredentials): WorkerClient {
  const client = new Hsm(address, credentials, {
    ...connectionOptions,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 3000,
  });
  return {
    address,
    async negotiate(hello) {
      const request = { hello: Buffer.from(hello) };
      const response = await unary(client, Hsm.service.NegotiateSession, request, NEGOTIATE_TIMEOUT_MS);
      return response.answer ?? new Uint8Array();
    },
    execute: () => client.Execute(),
    close: () => client.close(),
  };
}
