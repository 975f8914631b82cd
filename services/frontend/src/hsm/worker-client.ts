import type { ChannelCredentials } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { connectionOptions, unary } from '@keyfleet/proto/unary';
import { MAX_FRAME_BYTES } from '@keyfleet/shared/hsm/frame';
import type { WorkerClient } from './worker-link.ts';

const NEGOTIATE_TIMEOUT_MS = 2000;

/**
 * The gRPC client of one hsm-worker. Everything in a session is sealed and signed in its own right, whatever the
 * channel.
 */
export function newWorkerClient(address: string, credentials: ChannelCredentials): WorkerClient {
  const client = new Hsm(address, credentials, {
    ...connectionOptions,
    // A frame in its message. A session's negotiation takes less.
    'grpc.max_receive_message_length': MAX_FRAME_BYTES + 16,
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
