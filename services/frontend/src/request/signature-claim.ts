import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ALGORITHM, amzDateOf, type CredentialScope, TERMINATOR } from '@keyfleet/shared/sigv4';

/** The claim in an Authorization header: well-formed, current and scoped to this service, but not yet verified. */
export interface SignatureClaim {
  readonly accessKeyId: string;
  readonly scope: CredentialScope;
  readonly amzDate: string;
  readonly signedHeaders: string;
  readonly signature: string;
  /** The signed part of the query, if the signature is in the query; otherwise all of it is signed. */
  readonly signedQuery?: string;
  /** The session token of temporary credentials, if it is in the query; otherwise it is a header. */
  readonly sessionToken?: string;
}

/** The scope in which this service accepts signatures. */
export interface ClaimRules {
  readonly service: string;
  readonly regions: ReadonlySet<string>;
  /** How far a request's time may deviate in either direction. */
  readonly clockSkewMs: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export type Headers = ReadonlyMap<string, string>;

/**
 * Reads a request's claim. Throws KmsException with AWS's text, checking in AWS's order, so that a client with two
 * faults learns of the same one first. Nothing here depends on whether a credential exists.
 */
export function readClaim(headers: Headers, query: string, rules: ClaimRules): SignatureClaim {
  const authorization = headers.get('authorization');
  const signsInQuery = query.includes('X-Amz-Algorithm');
  if (authorization !== undefined && signsInQuery) {
    throw invalid("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.");
  }
  // Presigned calls are accepted only where stated (presigned-claim.ts): a signature in a URL ends up in logs.
  if (authorization === undefined || !authorization.startsWith('AWS4-')) {
    throw new KmsException('MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  const fields = readFields(authorization, headers);
  const { time, amzDate } = readDate(headers);
  assertCurrent(time, amzDate, rules);
  assertSigned(fields.signedHeaders, headers);
  const algorithm = authorization.split(' ', 1)[0];
  if (algorithm !== ALGORITHM) {
    throw incomplete(`Unsupported AWS 'algorithm': '${algorithm}' (only ${ALGORITHM} for now).`);
  }
  const { accessKeyId, scope } = readCredential(fields.credential, amzDate, rules);
  return { accessKeyId, scope, amzDate, signedHeaders: fields.signedHeaders, signature: fields.signature };
}

function readFields(authorization: string, headers: Headers) {
  const { credential, signature, signedHeaders } = readPairs(authorization);
  const hasDate = headers.has('x-amz-date') || headers.has('date');
  if (!credential || !signature || signedHeaders === undefined || !hasDate) {
    const missing = [
      credential ? '' : "Authorization header requires 'Credential' parameter. ",
      signature ? '' : "Authorization header requires 'Signature' parameter. ",
      signedHeaders === undefined ? "Authorization header requires 'SignedHeaders' parameter. " : '',
      hasDate ? '' : "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
    ];
    throw incomplete(`${missing.join('')}Authorization=${authorization}`);
  }
  return { credential, signature, signedHeaders };
}

/** The last of repeated parts counts; anything but the three parts is ignored. */
function readPairs(authorization: string) {
  let credential: string | undefined;
  let signature: string | undefined;
  let signedHeaders: string | undefined;
  const at = authorization.indexOf(' ');
  for (const text of at < 0 ? [] : authorization.slice(at).split(',')) {
    const pair = text.trim();
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals <= 0) {
      const problem = `'${pair}' not a valid key=value pair (missing equal-sign) in Authorization header`;
      throw incomplete(`${problem}: '${authorization}'.`);
    }
    const value = pair.slice(equals + 1);
    if (pair.startsWith('Credential=')) credential = value;
    else if (pair.startsWith('SignedHeaders=')) signedHeaders = value;
    else if (pair.startsWith('Signature=')) signature = value;
  }
  return { credential, signature, signedHeaders };
}

/** X-Amz-Date wins; a Date header may also be an HTTP date (RFC 9110 section 5.6.7). */
function readDate(headers: Headers): { time: number; amzDate: string } {
  const amzDate = headers.get('x-amz-date');
  const given = amzDate ?? headers.get('date') ?? '';
  const time = basicTime(given);
  if (time !== undefined) return { time, amzDate: given };
  const httpTime = amzDate === undefined && given.endsWith(' GMT') ? Date.parse(given) : Number.NaN;
  if (!Number.isNaN(httpTime)) return { time: httpTime, amzDate: amzDateOf(httpTime) };
  throw incomplete(
    `Date must be in ISO-8601 'basic format'. Got '${given}'. See http://en.wikipedia.org/wiki/ISO_8601`,
  );
}

const basicFormat = /^\d{8}T(?:[01]\d|2[0-3])[0-5]\d[0-5]\dZ$/;

/** Converts e.g. 20150830T123600Z to milliseconds since the epoch. */
export function basicTime(text: string): number | undefined {
  if (!basicFormat.test(text)) return undefined;
  const [month, day] = [twoDigits(text, 4) - 1, twoDigits(text, 6)];
  const year = 100 * twoDigits(text, 0) + twoDigits(text, 2);
  const time = Date.UTC(year, month, day, twoDigits(text, 9), twoDigits(text, 11), twoDigits(text, 13));
  // A month or day that does not exist would roll over into the next.
  const date = new Date(time);
  return date.getUTCMonth() === month && date.getUTCDate() === day ? time : undefined;
}

/** Runs for every request, so it makes no substrings. */
function twoDigits(text: string, at: number): number {
  return 10 * text.charCodeAt(at) + text.charCodeAt(at + 1) - 11 * ZERO;
}

const ZERO = 0x30;

/** `validMs`: how long a signature is valid after it was made. */
export function assertCurrent(
  time: number,
  amzDate: string,
  { now, clockSkewMs, validMs = clockSkewMs }: Pick<ClaimRules, 'now' | 'clockSkewMs'> & { validMs?: number },
): void {
  if (now - time > validMs) {
    const earliest = amzDateOf(now - validMs);
    throw invalid(
      `Signature expired: ${amzDate} is now earlier than ${earliest} (${amzDateOf(now)} - ${validMs / 60_000} min.)`,
    );
  }
  if (time - now <= clockSkewMs) return;
  const minutes = clockSkewMs / 60_000;
  const latest = amzDateOf(now + clockSkewMs);
  throw invalid(
    `Signature not yet current: ${amzDate} is still later than ${latest} (${amzDateOf(now)} + ${minutes} min.)`,
  );
}

/** Everything that decides what the request means must be signed; the path, the query and the body always are. */
const mustBeSigned = [
  ['host', 'Host'],
  ['x-amz-target', 'X-Amz-Target'],
  ['x-amz-security-token', 'X-Amz-Security-Token'],
] as const;

export function assertSigned(signedHeaders: string, headers: Headers): void {
  const names = signedHeaders.split(';');
  // Or one long header, named a thousand times, would be hashed a thousand times.
  if (new Set(names).size < names.length) throw invalid("'SignedHeaders' names a header more than once.");
  const signed = `;${signedHeaders};`;
  for (const [name, title] of mustBeSigned) {
    if (signed.includes(`;${name};`) || (name !== 'host' && !headers.has(name))) continue;
    throw invalid(`'${title}' must be a 'SignedHeader' in the AWS Authorization.`);
  }
}

export function readCredential(credential: string, amzDate: string, { service, regions }: ClaimRules) {
  const elements = credential.split('/');
  if (elements.length !== 5) {
    const shape = 'keyid/date/region/service/term';
    throw incomplete(`Credential must have exactly 5 slash-delimited elements, e.g. ${shape}, got '${credential}'`);
  }
  const [accessKeyId, date, region, givenService, terminator] = elements as [string, string, string, string, string];
  let wrong = '';
  if (!regions.has(region)) wrong += `Credential should be scoped to a valid region, not '${region}'. `;
  if (givenService !== service) wrong += `Credential should be scoped to correct service: '${service}'. `;
  if (terminator !== TERMINATOR) {
    wrong += `Credential should be scoped with a valid terminator: '${TERMINATOR}', not '${terminator}'. `;
  }
  if (date !== amzDate.slice(0, 8)) {
    const expected = `'${date}' != '${amzDate.slice(0, 8)}', from '${amzDate}'.`;
    wrong += `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: ${expected}`;
  }
  if (wrong !== '') throw invalid(wrong.trimEnd());
  return { accessKeyId, scope: { date, region, service } };
}

function invalid(message: string): KmsException {
  return new KmsException('InvalidSignatureException', message);
}

export function incomplete(message: string): KmsException {
  return new KmsException('IncompleteSignatureException', message);
}
