import { readFileSync } from 'node:fs';
import { urlToHttpOptions } from 'node:url';
import { exchange } from '@keyfleet/shared/http-exchange';
import type { FetchImplementation } from 'jose';

/** A JSON Web Key Set with a few keys takes a few KiB. */
const MAX_ANSWER = 262_144;

/**
 * Fetches keys over HTTPS from an issuer whose certificate chains to those in `caFile` (PEM). The file is read each
 * time, because a cluster's authority may be replaced during the run. Fails with TypeError, like `fetch`.
 */
export function fetchTrusting(caFile: string): FetchImplementation {
  return async (url, { headers, method, signal }) => {
    try {
      const how = { ca: readFileSync(caFile), headers: Object.fromEntries(headers), method, signal };
      const options = { ...urlToHttpOptions(new URL(url)), ...how };
      const { status, body } = await exchange(options, { maxAnswer: MAX_ANSWER });
      return new Response(body, { status });
    } catch (cause) {
      throw new TypeError('fetch failed', { cause });
    }
  };
}
