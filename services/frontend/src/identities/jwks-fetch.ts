import { readFileSync } from 'node:fs';
import { urlToHttpOptions } from 'node:url';
import { exchange } from '@keyfleet/shared/http-exchange';
import { type Clock, monotonicClock } from '@keyfleet/shared/clock';
import { createLocalJWKSet, type FetchImplementation, type JSONWebKeySet } from 'jose';

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

/** An SDK that is told of a failure asks again within seconds. */
const WAIT_MS = 2_000;

/**
 * Asks no issuer that just failed: otherwise every token, which anybody may make, would be a question to it, and one
 * that hangs would hold each caller up. After 2 s to 4 s, apart from other frontends, it is asked again. Fails with
 * TypeError, or with what a timeout gives.
 */
export function sparing(fetching: FetchImplementation, clock: Clock = monotonicClock): FetchImplementation {
  let askAgainAt = -Infinity;
  return async (...asked) => {
    if (clock.now() < askAgainAt) throw new TypeError('the issuer failed a moment ago');
    try {
      const response = await fetching(...asked);
      const text = await response.text();
      if (response.status !== 200) throw new Error(`the issuer answers ${response.status}`);
      createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
      return new Response(text);
    } catch (cause) {
      askAgainAt = clock.now() + WAIT_MS * (1 + Math.random());
      if (cause instanceof DOMException) throw cause;
      throw new TypeError('the issuer gives no keys', { cause });
    }
  };
}
