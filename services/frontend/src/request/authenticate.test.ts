import { createHash } from 'node:crypto';
import {
  ALGORITHM,
  amzDateOf,
  canonicalRequest,
  deriveSigningKey,
  newSigningSecret,
  signatureOf,
  stringToSign,
} from '@keyfleet/shared/sigv4';
import { caller, now, record, secret, signed } from '@keyfleet/test-support/signed-request';
import { expect, test } from 'vitest';
import { Authenticator } from './authenticate.ts';
import { Credential } from './credential.ts';

const ofSecret = { openSecret: () => Promise.resolve({ secretAccessKey: Buffer.from(secret) }) };
const proving = (identity: object | undefined, expiresAt?: number) =>
  new Credential({
    ...ofSecret,
    identity: () => identity,
    callerOf: () => caller,
    ...(expiresAt !== undefined && { expiresAt }),
  });
const known = proving({});
/** By session token. */
const sessions = new Map([
  ['current', proving({}, now + 1)],
  ['expired', proving({}, now)],
  ['of a role that is gone', proving(undefined, now + 1)],
]);
const authenticator = new Authenticator({
  credentials: {
    find: ({ accessKeyId, sessionToken }) => {
      if (sessionToken !== undefined) return sessions.get(sessionToken);
      return accessKeyId === record.accessKeyId ? known : undefined;
    },
  },
  clock: { now: () => now },
  clockSkewMs: 300_000,
});

type Request = ReturnType<typeof signed> & { readonly onGenuine?: () => void };

async function authenticate(request: Request) {
  return authenticator.authenticate(
    request,
    { service: 'kms', regions: new Set(['us-east-1']) },
    { deadline: now + 1000 },
  );
}

async function refusal(request: Request): Promise<string> {
  return authenticate(request).then(
    () => 'accepted',
    (error: Error) => `${error.name}: ${error.message}`,
  );
}

const mismatch =
  'InvalidSignatureException: The request signature we calculated does not match the signature you provided. ' +
  'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';

test('a genuine signature proves its principal and Region', async () => {
  expect(await authenticate(signed())).toMatchObject({
    caller: { accountId: '000000000000', arn: caller.arn, accessKeyId: 'AKIDEXAMPLE' },
    region: 'us-east-1',
  });
});

test('whose caller cannot be read now, or may not be, is refused, and is no stranger', async () => {
  const refused: Promise<object> = Promise.reject(new Error('too much was read'));
  sessions.set('unread', new Credential({ ...ofSecret, identity: () => refused, callerOf: () => caller }));
  let genuine = 0;
  const onGenuine = () => void (genuine += 1);
  const unread = { secret, headers: { 'x-amz-security-token': 'unread' } };
  expect(await refusal({ ...signed(unread), onGenuine })).toContain('too much was read');
  expect(genuine).toBe(1);
  expect(await refusal({ ...signed({ ...unread, secret: 'wrong' }), onGenuine })).toBe(mismatch);
  expect(genuine).toBe(1);
});

test('a wrong secret, another target, another body and a missing header do not verify', async () => {
  expect(await refusal(signed({ secret: 'wrong' }))).toBe(mismatch);
  const retargeted = signed();
  retargeted.headers.set('x-amz-target', 'TrentService.CreateKey');
  expect(await refusal(retargeted)).toBe(mismatch);
  expect(await refusal({ ...signed(), payloadHash: createHash('sha256').update('{ }').digest('hex') })).toBe(mismatch);
  const stripped = signed({ headers: { 'content-type': 'application/x-amz-json-1.1' } });
  stripped.headers.delete('content-type');
  expect(await refusal(stripped)).toBe(mismatch);
});

test('a stated payload hash that is not the body’s is refused, even if it is signed', async () => {
  expect(await refusal(signed({ headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }))).toBe(mismatch);
});

test('errors for an unknown access key and a session token differ by one full stop, as with AWS', async () => {
  expect(await refusal(signed({ accessKeyId: 'AKIDNOBODY' }))).toBe(
    'UnrecognizedClientException: The security token included in the request is invalid.',
  );
  expect(await refusal(signed({ headers: { 'x-amz-security-token': 'token' } }))).toBe(
    'UnrecognizedClientException: The security token included in the request is invalid',
  );
});

test('temporary credentials prove whom their token says, until they expire', async () => {
  const using = (token: string) => signed({ accessKeyId: 'ASIATEMPORARY', headers: { 'x-amz-security-token': token } });
  expect(await refusal(using('current'))).toBe('accepted');
  expect(await refusal(using('expired'))).toBe(
    'ExpiredTokenException: The security token included in the request is expired',
  );
  expect(await refusal(using('of a role that is gone'))).toBe(
    'UnrecognizedClientException: The security token included in the request is invalid',
  );
  const wrong = { accessKeyId: 'ASIATEMPORARY', secret: 'wrong', headers: { 'x-amz-security-token': 'expired' } };
  expect(await refusal(signed(wrong))).toBe(mismatch);
});

test('a query of thousands of parameters is refused before anything is read of it', () => {
  const signedFor = { service: 'kms', regions: new Set(['us-east-1']), presigned: true };
  const refused = { name: 'IncompleteSignatureException', message: 'A query string has at most 500 parameters.' };
  const long = { ...signed(), query: `Action=GetCallerIdentity${'&a'.repeat(500)}` };
  expect(() => authenticator.authenticate(long, signedFor, { deadline: now })).toThrow(
    expect.objectContaining(refused),
  );
});

test('a signature in the query is told from one that the sender made', async () => {
  const amzDate = amzDateOf(now);
  const scope = { date: amzDate.slice(0, 8), region: 'us-east-1', service: 'kms' };
  const query = new URLSearchParams({
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `${record.accessKeyId}/${scope.date}/${scope.region}/kms/aws4_request`,
    'X-Amz-Date': amzDate,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
  }).toString();
  const url = { ...signed(), method: 'GET', headers: new Map([['host', 'kms']]), query };
  const key = deriveSigningKey(newSigningSecret(secret), scope);
  const signature = signatureOf(key, stringToSign(canonicalRequest(url, 'host')!, amzDate, scope));
  const signedFor = { service: 'kms', regions: new Set(['us-east-1']), presigned: true };
  const sent = { ...url, query: `${query}&X-Amz-Signature=${signature}` };
  expect(await authenticator.authenticate(sent, signedFor, { deadline: now })).toMatchObject({ isPresigned: true });
  expect(await authenticator.authenticate(signed(), signedFor, { deadline: now })).toMatchObject({
    isPresigned: false,
  });
});
