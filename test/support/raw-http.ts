import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import {
  amzDateOf,
  authorizationOf,
  canonicalPath,
  deriveSigningKey,
  newSigningSecret,
  type SignableRequest,
} from '@keyfleet/shared/sigv4';
import { alice } from './edge-fixture.ts';

interface Edge {
  readonly endpoint: string;
  readonly port: number;
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly target?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly unsigned?: boolean;
  readonly time?: number;
}

/** Signs a request correctly, then sends it as told. */
export async function post(edge: Edge, options: RequestOptions = {}) {
  const { method = 'POST', path = '/', body = '{}', target = 'TrentService.ListKeys' } = options;
  const amzDate = amzDateOf(options.time ?? Date.now());
  const headers = new Map(
    Object.entries({
      host: `127.0.0.1:${edge.port}`,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-date': amzDate,
      'x-amz-target': target,
      ...options.headers,
    }),
  );
  if (options.unsigned !== true) headers.set('authorization', sign({ method, path, body, headers, amzDate }));
  const sent = method === 'GET' ? {} : { body };
  const response = await fetch(`${edge.endpoint}${path}`, { method, headers: Object.fromEntries(headers), ...sent });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

export function sign(request: {
  method: string;
  path: string;
  body: string;
  headers: Map<string, string>;
  amzDate: string;
}) {
  const scope = { date: request.amzDate.slice(0, 8), region: 'us-east-1', service: 'kms' };
  const signingKey = deriveSigningKey(newSigningSecret(alice.secretAccessKey), scope);
  const signable: SignableRequest = {
    method: request.method,
    path: canonicalPath(request.path),
    query: '',
    headers: request.headers,
    payloadHash: createHash('sha256').update(request.body).digest('hex'),
  };
  return authorizationOf(signable, request.amzDate, { accessKeyId: alice.accessKeyId, scope, signingKey });
}

/** Writes bytes to a socket and reads until the server closes it. */
export async function rawExchange(edge: Edge, text: string): Promise<string> {
  const socket = createConnection(edge.port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return received;
}
