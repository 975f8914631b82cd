import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps, type RequestOptions } from 'node:https';

export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

export class AnswerTooLongError extends Error {
  override name = 'AnswerTooLongError';

  constructor() {
    super('the answer is too long');
  }
}

interface Sent {
  readonly body?: Uint8Array | string;
  /** Bytes. */
  readonly maxAnswer: number;
}

/**
 * Sends one request, over HTTPS unless `protocol` says `http:`, and collects its answer. Fails with AnswerTooLongError,
 * or as `node:https` does. Only for requests that may be sent twice: a server may close an idle connection at the
 * moment when it is used again, which says nothing about the server.
 */
export function exchange(options: RequestOptions, { body, maxAnswer }: Sent): Promise<HttpAnswer> {
  const request = options.protocol === 'http:' ? requestHttp : requestHttps;
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => void collect(response, maxAnswer).then(resolve, reject));
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (!sent.reusedSocket || error.code !== 'ECONNRESET') return reject(error);
      exchange(options, { ...(body !== undefined && { body }), maxAnswer }).then(resolve, reject);
    });
    sent.end(body);
  });
}

async function collect(response: IncomingMessage, maxAnswer: number): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxAnswer) throw new AnswerTooLongError();
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks) };
}
