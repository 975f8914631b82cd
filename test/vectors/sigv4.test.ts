import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  canonicalPath,
  canonicalRequest,
  deriveSigningKey,
  encodePath,
  headersByName,
  isSameSignature,
  newSigningSecret,
  type SignableRequest,
  signatureOf,
  stringToSign,
} from '@keyfleet/shared/sigv4';
import { describe, expect, test } from 'vitest';

/** awslabs/aws-c-auth tests/aws-signing-test-suite/v4: every request, in header form and in query form. */
const suite = join(
  process.env['KEYFLEET_VECTORS'] ?? resolve(import.meta.dirname, '../../../shared/vectors'),
  'aws-sigv4',
);
const isThere = existsSync(suite);
if (!isThere) console.error(`NOT RUN: the AWS signing test suite is not at ${suite} (set KEYFLEET_VECTORS)`);

test.runIf(process.env['CI'] === 'true')('the AWS signing test suite is there', () => {
  expect(isThere).toBe(true);
});

for (const name of isThere ? readdirSync(suite, { withFileTypes: true }) : []) {
  if (name.isDirectory()) describeVector(name.name);
}

interface Context {
  readonly credentials: { readonly access_key_id: string; readonly secret_access_key: string };
  readonly normalize: boolean;
  readonly region: string;
  readonly service: string;
  readonly omit_session_token?: boolean;
}

function describeVector(name: string): void {
  const context = JSON.parse(text(name, 'context.json')) as Context;
  const amzDate = '20150830T123600Z';
  const scope = { date: amzDate.slice(0, 8), region: context.region, service: context.service };
  const signingKey = deriveSigningKey(newSigningSecret(context.credentials.secret_access_key), scope);

  describe(name, () => {
    test('header form: canonical request, string to sign and signature', () => {
      const { request, signedHeaders, signature } = headerForm(name, context);
      const canonical = canonicalRequest(request, signedHeaders)!;
      expect(canonical).toBe(text(name, 'header-canonical-request.txt').trimEnd());
      const toSign = stringToSign(canonical, amzDate, scope);
      expect(toSign).toBe(text(name, 'header-string-to-sign.txt').trimEnd());
      expect(signatureOf(signingKey, toSign)).toBe(text(name, 'header-signature.txt').trim());
      expect(isSameSignature(signatureOf(signingKey, toSign), signature)).toBe(true);
    });

    test('query form: canonical request, string to sign and signature', () => {
      const { request, signedHeaders } = queryForm(name, context);
      const canonical = canonicalRequest(request, signedHeaders)!;
      expect(canonical).toBe(text(name, 'query-canonical-request.txt').trimEnd());
      const toSign = stringToSign(canonical, amzDate, scope);
      expect(toSign).toBe(text(name, 'query-string-to-sign.txt').trimEnd());
      expect(signatureOf(signingKey, toSign)).toBe(text(name, 'query-signature.txt').trim());
    });

    test('one byte changed anywhere does not verify', () => {
      const { request, signedHeaders, signature } = headerForm(name, context);
      function verifies(changed: SignableRequest, given = signature): boolean {
        const canonical = canonicalRequest(changed, signedHeaders);
        return (
          canonical !== undefined &&
          isSameSignature(signatureOf(signingKey, stringToSign(canonical, amzDate, scope)), given)
        );
      }
      expect(verifies(request)).toBe(true);
      for (const changed of oneByteChanged(request, signedHeaders.split(';'))) expect(verifies(changed)).toBe(false);
      for (let i = 0; i < signature.length; i += 1) expect(verifies(request, flip(signature, i))).toBe(false);
      // A letter's other case is the same hex digit: still another signature.
      expect(verifies(request, signature.toUpperCase())).toBe(false);
    });
  });
}

function oneByteChanged(request: SignableRequest, signedHeaders: readonly string[]): SignableRequest[] {
  const changed: SignableRequest[] = [
    { ...request, method: flip(request.method, 0) },
    { ...request, path: flip(request.path, request.path.length - 1) },
    { ...request, query: request.query === '' ? 'x' : flip(request.query, 0) },
    { ...request, payloadHash: flip(request.payloadHash, 0) },
  ];
  for (const name of signedHeaders) {
    const value = request.headers.get(name)!;
    const at = value.search(/\S/);
    changed.push({ ...request, headers: new Map(request.headers).set(name, flip(value, at)) });
    const without = new Map(request.headers);
    without.delete(name);
    changed.push({ ...request, headers: without });
  }
  return changed;
}

function flip(value: string, at: number): string {
  return value.slice(0, at) + String.fromCharCode(value.charCodeAt(at) ^ 1) + value.slice(at + 1);
}

function headerForm(name: string, context: Context) {
  const request = parseRequest(text(name, 'header-signed-request.txt'), context);
  const authorization = request.headers.get('authorization')!;
  return {
    request,
    signedHeaders: /SignedHeaders=([^,]+)/.exec(authorization)![1]!,
    signature: /Signature=(.+)$/.exec(authorization)![1]!,
  };
}

function queryForm(name: string, context: Context) {
  const request = parseRequest(text(name, 'query-signed-request.txt'), context);
  // The signature covers every parameter but itself, and not a token that was added afterwards.
  const unsigned =
    context.omit_session_token === true ? ['X-Amz-Signature', 'X-Amz-Security-Token'] : ['X-Amz-Signature'];
  const kept = request.query.split('&').filter((parameter) => !unsigned.includes(parameter.split('=')[0]!));
  const signedHeaders = decodeURIComponent(/X-Amz-SignedHeaders=([^&]+)/.exec(request.query)![1]!);
  return { request: { ...request, query: kept.join('&') }, signedHeaders };
}

function parseRequest(message: string, context: Context): SignableRequest {
  const [head = '', body = ''] = message.split(/\n\n([\s\S]*)/);
  // A line that begins with a space goes on with the header before it (obs-fold), which only the oldest clients send.
  // Whoever parses HTTP puts a space there (RFC 9112, 5.2).
  const [start = '', ...lines] = head
    .trimEnd()
    .replaceAll(/\n[ \t]+/g, ' ')
    .split('\n');
  const target = start.slice(start.indexOf(' ') + 1, start.lastIndexOf(' '));
  const [path = '', query = ''] = target.split(/\?(.*)/s);
  const rawHeaders = lines.flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]);
  return {
    method: start.slice(0, start.indexOf(' ')),
    path: context.normalize ? canonicalPath(path) : encodePath(path),
    query,
    headers: headersByName(rawHeaders),
    payloadHash: createHash('sha256').update(body, 'latin1').digest('hex'),
  };
}

function text(name: string, file: string): string {
  return readFileSync(join(suite, name, file), 'latin1');
}
