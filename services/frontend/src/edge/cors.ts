import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Sent with every answer to a page (Fetch standard, "CORS protocol"). Any origin may read the answers, as with AWS: who asks is proven by
 * a signature that the page itself must make, and never by anything that a browser adds.
 */
export const sharedWithOrigins: readonly string[] = [
  'Access-Control-Allow-Origin',
  '*',
  'Access-Control-Expose-Headers',
  'x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date',
];

/** Two days, as AWS says; browsers cut it to what they allow. */
const MAX_AGE_S = '172800';

/** A browser that asks whether a page may call. */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}

/** Headers are allowed as they are asked for: what is not under the signature decides nothing. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const asked = request.headers['access-control-request-headers'];
  const named = asked !== undefined && /^[\w-]+(?: *, *[\w-]+)*$/.test(asked);
  response.writeHead(200, [
    ...sharedWithOrigins,
    'Access-Control-Allow-Methods',
    'GET, POST, OPTIONS',
    ...(named ? ['Access-Control-Allow-Headers', asked] : []),
    'Access-Control-Max-Age',
    MAX_AGE_S,
    'Content-Length',
    '0',
  ]);
  response.end();
}
