import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto';

/**
 * The part of an HTTP request that a signature covers. Strings hold one character per byte sent (latin1), as node:http
 * returns them, so that what was signed as UTF-8 is hashed as the same bytes.
 */
export interface SignableRequest {
  readonly method: string;
  /** `canonicalPath()` of the path as sent. */
  readonly path: string;
  /** As sent, without the question mark. */
  readonly query: string;
  /** By lower-case name. The values of a repeated header are joined by commas in order of arrival. */
  readonly headers: ReadonlyMap<string, string>;
  /** SHA-256 of the body as received, lower-case hex. */
  readonly payloadHash: string;
}

/**
 * The canonical request of Signature Version 4. `signedHeaders` as written in the credential, e.g. `host;x-amz-date`.
 * Undefined if a header listed as signed is missing. Source: IAM User Guide, "Create a signed AWS API request", step 1.
 */
export function canonicalRequest(request: SignableRequest, signedHeaders: string): string | undefined {
  let headers = '';
  for (const name of signedHeaders.split(';')) {
    const value = request.headers.get(name);
    if (value === undefined) return undefined;
    headers += `${name}:${canonicalValue(value)}\n`;
  }
  return `${request.method}\n${request.path}\n${canonicalQuery(request.query)}\n${headers}\n${signedHeaders}\n${request.payloadHash}`;
}

/** Collects headers for a `SignableRequest` from node:http's `rawHeaders`, a flat list of names and values. */
export function headersByName(rawHeaders: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = rawHeaders[i + 1]!;
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  return headers;
}

/** Resolves dot segments and repeated slashes, then encodes once more: the rule for every service except S3. */
export function canonicalPath(path: string): string {
  if (path === '/' || path === '') return '/';
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  return encodePath(`/${kept.join('/')}${path.endsWith('/') && kept.length > 0 ? '/' : ''}`);
}

/** Percent-encodes every byte except RFC 3986's unreserved ones and the slash. */
export function encodePath(path: string): string {
  return path.replaceAll(/[^A-Za-z0-9\-._~/]/g, percent);
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  const parameters = query.split('&').map((parameter) => {
    const at = parameter.indexOf('=');
    return at < 0
      ? { name: canonicalParameter(parameter), value: '' }
      : { name: canonicalParameter(parameter.slice(0, at)), value: canonicalParameter(parameter.slice(at + 1)) };
  });
  // By name, then by value: comparing `name=value` as one string would put `a-b` before `a`.
  parameters.sort((a, b) => order(a.name, b.name) || order(a.value, b.value));
  return parameters.map(({ name, value }) => `${name}=${value}`).join('&');
}

/** Decodes and encodes again, so that every spelling of a parameter is signed the same. */
function canonicalParameter(text: string): string {
  const decoded = text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return decoded.replaceAll(/[^A-Za-z0-9\-._~]/g, percent);
}

/** HTTP white space is only space and tab (RFC 9110, 5.6.3): \s would also match bytes of UTF-8, such as A0. */
function canonicalValue(value: string): string {
  return /^ | $| {2}|\t/.test(value) ? value.replaceAll(/[ \t]+/g, ' ').replaceAll(/^ | $/g, '') : value;
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export const ALGORITHM = 'AWS4-HMAC-SHA256';
export const TERMINATOR = 'aws4_request';

/** What a signing key is valid for. */
export interface CredentialScope {
  /** YYYYMMDD, UTC. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** `amzDate` is the request's time in ISO 8601 basic format, e.g. 20150830T123600Z. */
export function stringToSign(canonicalRequest: string, amzDate: string, scope: CredentialScope): string {
  // latin1: one character of the canonical request is one byte that was sent.
  const digest = hash('sha256', Buffer.from(canonicalRequest, 'latin1'), 'hex');
  return `${ALGORITHM}\n${amzDate}\n${scope.date}/${scope.region}/${scope.service}/${TERMINATOR}\n${digest}`;
}

/** The secret access key in the form from which signing keys are derived; the caller overwrites it. */
export function newSigningSecret(secretAccessKey: string | Uint8Array): Buffer {
  const secret = typeof secretAccessKey === 'string' ? Buffer.from(secretAccessKey) : secretAccessKey;
  return Buffer.concat([Buffer.from('AWS4'), secret]);
}

/**
 * Derived once per credential and scope, and kept as a KeyObject: HMAC with raw key bytes costs eight times as much.
 */
export function deriveSigningKey(secret: KeyObject | Uint8Array, scope: CredentialScope): KeyObject {
  let key = createHmac('sha256', secret).update(scope.date).digest();
  for (const step of [scope.region, scope.service, TERMINATOR]) {
    const next = createHmac('sha256', key).update(step).digest();
    key.fill(0);
    key = next;
  }
  const signingKey = createSecretKey(key);
  key.fill(0);
  return signingKey;
}

/** Lower-case hex, as in the Authorization header. */
export function signatureOf(signingKey: KeyObject, text: string): string {
  return createHmac('sha256', signingKey).update(text).digest('hex');
}

/** Constant-time for signatures of the right length. Compares the text, so that a signature has only one spelling. */
export function isSameSignature(expected: string, given: string): boolean {
  return (
    given.length === expected.length && timingSafeEqual(Buffer.from(expected, 'latin1'), Buffer.from(given, 'latin1'))
  );
}

/** Milliseconds since the epoch as ISO 8601 basic format, e.g. 20150830T123600Z. */
export function amzDateOf(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/** The signer, with a key already derived for one scope. */
export interface Signer {
  readonly accessKeyId: string;
  readonly scope: CredentialScope;
  readonly signingKey: KeyObject;
}

/** The Authorization header of a request; signs every header of the request. */
export function authorizationOf(request: SignableRequest, amzDate: string, signer: Signer): string {
  const signedHeaders = [...request.headers.keys()].toSorted().join(';');
  const canonical = canonicalRequest(request, signedHeaders)!;
  const signature = signatureOf(signer.signingKey, stringToSign(canonical, amzDate, signer.scope));
  const { date, region, service } = signer.scope;
  const credential = `${signer.accessKeyId}/${date}/${region}/${service}/${TERMINATOR}`;
  return `${ALGORITHM} Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}
