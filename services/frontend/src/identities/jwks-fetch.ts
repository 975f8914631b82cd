import { request } from 'node:https';
import { readFileSync } from 'node:fs';
import type { FetchImplementation } from 'jose';

/** A JSON Web Key Set with a few keys takes a few KiB. */
const MAX_ANSWER = 262_144;

/**
 * Fetches keys over HTTPS from an issuer whose certificate chains to those in `caFile` (PEM). The file is read each
 * time, because a cluster's authority may be replaced during the run. Fails with TypeError, like `fetch`.
 */
export function fetchTrusting(caFile: string): FetchImplementation {
  return (url, { headers, method, signal }) =>
    new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => reject(new TypeError('fetch failed', { cause }));
      try {
        const options = { ca: readFileSync(caFile), headers: Object.fromEntries(headers), method, signal };
        const sent = request(url, options, (response) => {
          let body = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            body += chunk;
            if (body.length > MAX_ANSWER) response.destroy(new Error('the answer is too long'));
          });
          response.on('end', () => resolve(new Response(body, { status: response.statusCode ?? 500 })));
          response.on('error', fail);
        });
        sent.on('error', fail);
        sent.end();
      } catch (error) {
        fail(error);
      }
    });
}
