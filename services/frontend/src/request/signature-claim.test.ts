import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { describe, expect, test } from 'vitest';
import { readClaim } from './signature-claim.ts';

const now = Date.UTC(2018, 10, 5, 22, 16, 4);
const rules = { service: 'kms', regions: new Set(['us-east-1']), clockSkewMs: 300_000, now };
const credential = 'AKIDEXAMPLE/20181105/us-east-1/kms/aws4_request';

function headers(changes: Record<string, string | undefined> = {}): Map<string, string> {
  const all = {
    host: 'localhost',
    'x-amz-date': '20181105T221600Z',
    authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host;x-amz-date, Signature=abc`,
    ...changes,
  };
  return new Map(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function refusal(changes: Record<string, string | undefined>, query = ''): string {
  try {
    readClaim(headers(changes), query, rules);
  } catch (error) {
    if (error instanceof KmsException) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

function authorization(changes: { algorithm?: string; credential?: string; signedHeaders?: string }): string {
  const parts = { algorithm: 'AWS4-HMAC-SHA256', credential, signedHeaders: 'host;x-amz-date', ...changes };
  return `${parts.algorithm} Credential=${parts.credential}, SignedHeaders=${parts.signedHeaders}, Signature=abc`;
}

test('a well-formed, current claim for this service is read', () => {
  expect(readClaim(headers(), '', rules)).toEqual({
    accessKeyId: 'AKIDEXAMPLE',
    scope: { date: '20181105', region: 'us-east-1', service: 'kms' },
    amzDate: '20181105T221600Z',
    signedHeaders: 'host;x-amz-date',
    signature: 'abc',
  });
});

test('fields may be separated by a comma alone', () => {
  const tight = authorization({}).replaceAll(', ', ',');
  expect(readClaim(headers({ authorization: tight }), '', rules).signature).toBe('abc');
});

test('a Date header does when there is no X-Amz-Date, also as an HTTP date', () => {
  const signed = authorization({ signedHeaders: 'date;host' });
  for (const date of ['20181105T221600Z', 'Mon, 05 Nov 2018 22:16:00 GMT']) {
    const claim = readClaim(headers({ 'x-amz-date': undefined, date, authorization: signed }), '', rules);
    expect(claim.amzDate).toBe('20181105T221600Z');
  }
});

test('X-Amz-Date wins over Date', () => {
  expect(refusal({ date: 'Mon, 05 Nov 1990 22:16:00 GMT' })).toBe('accepted');
});

describe('errors have AWS’s words', () => {
  const bare = 'AWS4-HMAC-SHA256 Credential=a';
  test.each<[string, Record<string, string | undefined>, string]>([
    ['no header', { authorization: undefined }, 'MissingAuthenticationTokenException: Missing Authentication Token'],
    [
      'another scheme',
      { authorization: 'Bearer x' },
      'MissingAuthenticationTokenException: Missing Authentication Token',
    ],
    [
      'parts missing',
      { authorization: bare },
      `IncompleteSignatureException: Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization=${bare}`,
    ],
    [
      'no date',
      { 'x-amz-date': undefined },
      `IncompleteSignatureException: Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=${authorization({})}`,
    ],
    [
      'a pair without equal-sign',
      { authorization: 'AWS4-HMAC-SHA256 Signature=b, Credential' },
      "IncompleteSignatureException: 'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: 'AWS4-HMAC-SHA256 Signature=b, Credential'.",
    ],
    [
      'a date of another form',
      { 'x-amz-date': '201' },
      "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601",
    ],
    [
      'a day that no month has',
      { 'x-amz-date': '20181131T221600Z' },
      "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got '20181131T221600Z'. See http://en.wikipedia.org/wiki/ISO_8601",
    ],
    [
      'too old',
      { 'x-amz-date': '20181105T215603Z' },
      'InvalidSignatureException: Signature expired: 20181105T215603Z is now earlier than 20181105T221104Z (20181105T221604Z - 5 min.)',
    ],
    [
      'too new',
      { 'x-amz-date': '20181105T222105Z' },
      'InvalidSignatureException: Signature not yet current: 20181105T222105Z is still later than 20181105T222104Z (20181105T221604Z + 5 min.)',
    ],
    [
      'host not signed',
      { authorization: authorization({ signedHeaders: 'x-amz-date' }) },
      "InvalidSignatureException: 'Host' must be a 'SignedHeader' in the AWS Authorization.",
    ],
    [
      'the operation not signed',
      { 'x-amz-target': 'TrentService.ListKeys' },
      "InvalidSignatureException: 'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.",
    ],
    [
      'a session token not signed',
      { 'x-amz-security-token': 'token' },
      "InvalidSignatureException: 'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.",
    ],
    [
      'another algorithm',
      { authorization: authorization({ algorithm: 'AWS4-ECDSA-P256-SHA256' }) },
      "IncompleteSignatureException: Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now).",
    ],
    [
      'a credential of four elements',
      { authorization: authorization({ credential: 'a/b/c/d' }) },
      "IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d'",
    ],
    [
      'everything wrong in the scope',
      { authorization: authorization({ credential: 'a/b/c/d/e' }) },
      "InvalidSignatureException: Credential should be scoped to a valid region, not 'c'. Credential should be scoped to correct service: 'kms'. Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20181105', from '20181105T221600Z'.",
    ],
  ])('%s', (_, changes, expected) => {
    expect(refusal(changes)).toBe(expected);
  });

  test('signed in the query as well', () => {
    expect(refusal({}, 'X-Amz-Algorithm=AWS4-HMAC-SHA256')).toBe(
      "InvalidSignatureException: Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    );
  });

  test('signed in the query only', () => {
    expect(refusal({ authorization: undefined }, 'X-Amz-Algorithm=AWS4-HMAC-SHA256')).toBe(
      'MissingAuthenticationTokenException: Missing Authentication Token',
    );
  });
});

test('a header that SignedHeaders names twice is refused before anything is hashed', () => {
  const twice = authorization({ signedHeaders: 'host;x-amz-date;host' });
  expect(refusal({ authorization: twice })).toBe(
    "InvalidSignatureException: 'SignedHeaders' names a header more than once.",
  );
});
