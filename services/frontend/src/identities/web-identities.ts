import { readFile, stat } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
} from 'jose';
import { type JsonObject, readJson } from '@keyfleet/shared/api/read-json';
import { fetchTrusting, sparing } from './jwks-fetch.ts';
import type { OidcIssuer } from './oidc-issuers.ts';
import { QueryException } from './query-exception.ts';

/** The facts that a token proves. */
export interface WebIdentity {
  readonly issuer: string;
  readonly subject: string;
  /** The one of the token's audiences that is accepted; for a token with an `azp`, the party it was issued to. */
  readonly audience: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Public keys only: a shared secret proves nothing, and neither does a missing signature. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const CLOCK_TOLERANCE_SECONDS = 60;
/** Shorter than a request's own limit. */
const FETCH_TIMEOUT_MS = 2_000;
/** Between two fetches, so that tokens with made-up key ids cost the issuer nothing. */
const COOLDOWN_MS = 30_000;
const CACHE_MS = 600_000;

/** Verifies tokens of the configured OIDC issuers (OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725). */
export class WebIdentities {
  readonly #issuers: ReadonlyMap<string, { readonly audiences: readonly string[]; readonly keys: JWTVerifyGetKey }>;

  constructor(issuers: readonly OidcIssuer[]) {
    this.#issuers = new Map(issuers.map((one) => [one.issuer, { audiences: one.audiences, keys: keysOf(one) }]));
  }

  /**
   * Throws InvalidIdentityToken, ExpiredTokenException or IDPCommunicationError. `now`: milliseconds since the epoch.
   */
  async verify(token: string, now: number): Promise<WebIdentity> {
    // Used only to find the keys: nothing is believed before it is verified.
    const claims = claimsOf(token);
    const { iss: issuer } = claims;
    if (typeof issuer !== 'string') throw noToken();
    const known = this.#issuers.get(issuer);
    if (known === undefined) throw invalid("No OpenIDConnect provider found in your account for the token's issuer");
    try {
      const { payload } = await jwtVerify(token, known.keys, {
        issuer,
        audience: [...known.audiences],
        algorithms: ALGORITHMS,
        requiredClaims: ['sub', 'aud', 'exp', 'iat'],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(now),
      });
      assertIssuedBy(payload, now);
      const { azp } = payload;
      const audiences = azp === undefined ? [payload.aud ?? []].flat() : [azp];
      const audience = audiences.find((one) => typeof one === 'string' && known.audiences.includes(one));
      if (typeof audience !== 'string') throw invalid('Incorrect token audience');
      const oaud = azp === undefined ? {} : { oaud: payload.aud };
      return { issuer, subject: payload.sub!, audience, claims: { ...claims, ...oaud, aud: audience } };
    } catch (error) {
      throw refusalOf(error);
    }
  }
}

/** jose checks the time of issue only if a maximum age is set. */
function assertIssuedBy({ iat }: JWTPayload, now: number): void {
  if (iat! > now / 1000 + CLOCK_TOLERANCE_SECONDS) throw invalid('Provided Token is not valid: it is from the future');
}

function keysOf({ jwksFile, jwksUrl, caFile }: OidcIssuer): JWTVerifyGetKey {
  if (jwksUrl !== undefined) {
    const settings = { timeoutDuration: FETCH_TIMEOUT_MS, cooldownDuration: COOLDOWN_MS, cacheMaxAge: CACHE_MS };
    const fetching = sparing(caFile === undefined ? fetch : fetchTrusting(caFile));
    return createRemoteJWKSet(new URL(jwksUrl), { ...settings, [customFetch]: fetching });
  }
  return fileKeys(jwksFile ?? '');
}

/** A file that changed is read again: a key that was taken out of it proves nothing from then on. */
function fileKeys(path: string): JWTVerifyGetKey {
  let known: { readonly version: string; readonly keys: JWTVerifyGetKey } | undefined;
  return async (header, jws) => {
    const { ino, mtimeMs, size } = await stat(path);
    const version = `${ino} ${mtimeMs} ${size}`;
    if (known?.version !== version) {
      const keys = createLocalJWKSet(JSON.parse(await readFile(path, 'utf8')) as JSONWebKeySet);
      known = { version, keys };
    }
    return known.keys(header, jws);
  };
}

/** Not as jose parses them: after a stranger's token V8 may lose a claim whose name has an escape (`readJson`). */
function claimsOf(token: string): JsonObject {
  const [, payload = ''] = token.split('.');
  try {
    const claims = readJson(Buffer.from(payload, 'base64url').toString('utf8'));
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return claims as JsonObject;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw noToken();
}

function noToken(): QueryException {
  return invalid('The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)');
}

function refusalOf(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) {
    return new QueryException('ExpiredTokenException', 'Token expired: the ID Token provided is expired');
  }
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'aud')
    return invalid('Incorrect token audience');
  if (error instanceof errors.JWKSTimeout || error instanceof TypeError) {
    return new QueryException(
      'IDPCommunicationError',
      "Couldn't retrieve verification key from your identity provider",
    );
  }
  if (error instanceof errors.JOSEError)
    return invalid('Provided Token is not valid: its signature or claims do not verify');
  return error;
}

function invalid(message: string): QueryException {
  return new QueryException('InvalidIdentityToken', message);
}
