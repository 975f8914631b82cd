import type { Endpoint, Transport } from './endpoint.ts';
import { http1Transport } from './http1-connection.ts';
import { http2Transport } from './http2-connection.ts';

/** What one transport makes of a request goes only to connections of the same. */
export function transportOf(endpoint: Endpoint): Transport<unknown> {
  const transport = endpoint.transport === 'http2' ? http2Transport(endpoint) : http1Transport(endpoint);
  return transport as Transport<unknown>;
}
