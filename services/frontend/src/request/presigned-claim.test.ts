import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { expect, test } from 'vitest';
import { isPresigned, readPresignedClaim } from './presigned-claim.ts';

const now = Date.UTC(2018, 10, 5, 22, 16, 4);
const rules = { service: 'sts', regions: new Set(['us-east-1']), clockSkewMs: 300_000, now };
const good = {
  'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
  'X-Amz-Credential': 'AKIDEXAMPLE/20181105/us-east-1/sts/aws4_request',
  'X-Amz-Date': '20181105T221600Z',
  'X-Amz-Expires': '60',
  'X-Amz-SignedHeaders': 'host',
  'X-Amz-Signature': 'abc',
};

function queryOf(changes: Record<string, string | undefined> = {}): string {
  const all = Object.entries({ ...good, ...changes }).filter((entry): entry is [string, string] => !!entry[1]);
  return `Action=GetCallerIdentity&${new URLSearchParams(all).toString()}`;
}

function refusal(query: string): string {
  try {
    readPresignedClaim(new Map([['host', 'localhost']]), query, rules);
  } catch (error) {
    if (error instanceof KmsException) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

test('the signature covers everything of the query but itself', () => {
  expect(readPresignedClaim(new Map(), queryOf(), rules)).toEqual({
    accessKeyId: 'AKIDEXAMPLE',
    scope: { date: '20181105', region: 'us-east-1', service: 'sts' },
    amzDate: '20181105T221600Z',
    signedHeaders: 'host',
    signature: 'abc',
    signedQuery: queryOf({ 'X-Amz-Signature': undefined }),
  });
});

test.each(['?X-Amz-Signature=abd', 'x-amz-signature=abd', 'a=X-Amz-Signature', ''])(
  'the signature must cover what somebody adds to the query: %j',
  (added) => {
    for (const query of [`${queryOf()}&${added}`, `${added}&${queryOf()}`]) {
      const { signedQuery, signature } = readPresignedClaim(new Map(), query, rules);
      expect([signedQuery, signature]).toEqual([query.replace('&X-Amz-Signature=abc', ''), 'abc']);
    }
  },
);

test('a call is presigned only if its signature stands nowhere else', () => {
  expect(isPresigned(new Map(), queryOf())).toBe(true);
  expect(isPresigned(new Map([['authorization', 'AWS4-HMAC-SHA256 ...']]), queryOf())).toBe(false);
  expect(isPresigned(new Map(), 'Action=X&Not-X-Amz-Algorithm=1')).toBe(false);
});

const again = 'IncompleteSignatureException: AWS query-string parameters must include';
test.each([
  [queryOf({ 'X-Amz-Signature': undefined }), `${again} 'X-Amz-Signature'. Re-examine the query-string parameters.`],
  [
    queryOf({ 'X-Amz-Credential': undefined, 'X-Amz-Date': undefined }),
    `${again} 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.`,
  ],
  [`${queryOf()}&X-Amz-Date=20181105T221600Z`, `${again} 'X-Amz-Date' once.`],
  [`${queryOf()}&%58-Amz-Signature=abd`, `${again} 'X-Amz-Signature' once.`],
  [
    queryOf({ 'X-Amz-Algorithm': 'AWS4-HMAC-SHA1' }),
    "IncompleteSignatureException: Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 for now).",
  ],
  [
    queryOf({ 'X-Amz-Date': 'today' }),
    "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got 'today'. See http://en.wikipedia.org/wiki/ISO_8601",
  ],
  [
    queryOf({ 'X-Amz-SignedHeaders': 'date' }),
    "InvalidSignatureException: 'Host' must be a 'SignedHeader' in the AWS Authorization.",
  ],
  [
    queryOf({ 'X-Amz-Date': '20181105T220100Z' }),
    'InvalidSignatureException: Signature expired: 20181105T220100Z is now earlier than 20181105T220104Z (20181105T221604Z - 15 min.)',
  ],
])('%s is refused', (query, expected) => {
  expect(refusal(query)).toBe(expected);
});
