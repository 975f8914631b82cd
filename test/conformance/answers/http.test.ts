import { expect, test } from 'vitest';
import { callKms, hostOf, presign, send, signedCall } from './call.ts';

const origin = 'https://app.example';
const identity = 'Action=GetCallerIdentity&Version=2011-06-15';
const admin = '<Arn>arn:aws:iam::000000000000:user/admin</Arn>';
const form = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };

test('a preflight is answered, with the headers that are asked for (A)', async () => {
  const asked = 'authorization,content-type,x-amz-date,x-amz-target';
  const { status, headers, text } = await send({
    method: 'OPTIONS',
    target: '/',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
  });
  expect({ status, text }).toEqual({ status: 200, text: '' });
  expect(headers).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers': asked,
    'access-control-max-age': '172800',
  });
  expect(headers).not.toHaveProperty('access-control-allow-credentials');
});

test('a preflight allows no header whose name is none, and OPTIONS without an origin is no call', async () => {
  const preflight = { origin, 'access-control-request-method': 'POST' };
  const odd = { ...preflight, 'access-control-request-headers': 'a;b' };
  expect((await send({ method: 'OPTIONS', target: '/', headers: odd })).headers).not.toHaveProperty(
    'access-control-allow-headers',
  );
  expect(await send({ method: 'OPTIONS', target: '/' })).toMatchObject({ status: 404 });
});

test.each([
  ['an answer', () => callKms('ListKeys', '{}', { headers: { origin } }), 200],
  ['an error of KMS', () => callKms('DescribeKey', '{}', { headers: { origin } }), 400],
  ['a refusal', () => send({ method: 'POST', target: '/', headers: { origin } }), 400],
  ['what is no call', () => send({ method: 'PUT', target: '/', headers: { origin } }), 404],
  ['an answer of STS', () => signedCall(identity, { service: 'sts', headers: { ...form, origin } }), 200],
  ['an error of STS', () => signedCall('Action=No', { service: 'sts', headers: { ...form, origin } }), 400],
])('%s may be read by a page of any origin, with its request id and date (A)', async (_, call, status) => {
  const { headers, ...answer } = await call();
  expect(answer.status).toBe(status);
  expect(headers['access-control-allow-origin']).toBe('*');
  const exposed = (headers['access-control-expose-headers'] as string).toLowerCase().split(',');
  expect(exposed).toEqual(expect.arrayContaining(['x-amzn-requestid', 'date']));
  expect(headers).toMatchObject({ 'x-amzn-requestid': expect.any(String), date: expect.any(String) });
});

test('an answer without an origin says nothing of origins', async () => {
  expect((await callKms('ListKeys', '{}')).headers).not.toHaveProperty('access-control-allow-origin');
});

test('GetCallerIdentity works by GET (B)', async () => {
  const answer = await signedCall('', { service: 'sts', method: 'GET', target: `/?${identity}` });
  expect(answer).toMatchObject({ status: 200, text: expect.stringContaining(admin) });
});

test('GetCallerIdentity works as a presigned URL, as EKS makes it: with a header of its own under the signature (B)', async () => {
  const headers = { 'x-k8s-aws-id': 'cluster-1' };
  const target = presign(identity, { headers });
  expect(await send({ method: 'GET', target, headers })).toMatchObject({
    status: 200,
    text: expect.stringContaining(admin),
  });
  expect(await send({ method: 'GET', target })).toMatchObject({
    status: 403,
    text: expect.stringContaining('<Code>SignatureDoesNotMatch</Code>'),
  });
});

test('GetCallerIdentity works as a presigned POST, with its call in the body or in the query (B)', async () => {
  const byBody = presign('', { method: 'POST', body: identity });
  expect(await send({ method: 'POST', target: byBody, headers: form, body: identity })).toMatchObject({ status: 200 });
  const byQuery = presign(identity, { method: 'POST' });
  expect(await send({ method: 'POST', target: byQuery })).toMatchObject({ status: 200 });
  const another = `${identity}&x=1`;
  expect(await send({ method: 'POST', target: byBody, headers: form, body: another })).toMatchObject({ status: 403 });
});

test('a presigned URL is good for 15 minutes after its date, whatever X-Amz-Expires says', async () => {
  const minutes = (ago: number) =>
    send({ method: 'GET', target: presign(identity, { at: Date.now() - ago * 60_000 }) });
  expect(await minutes(14)).toMatchObject({ status: 200 });
  expect(await minutes(16)).toMatchObject({
    status: 403,
    text: expect.stringContaining('Signature expired: '),
  });
  expect(await minutes(-6)).toMatchObject({
    status: 403,
    text: expect.stringContaining('Signature not yet current: '),
  });
});

test('a changed presigned URL proves nothing', async () => {
  const target = presign(identity);
  for (const changed of [
    target.replace('GetCallerIdentity', 'GetSessionToken'),
    `${target}&a=b`,
    `${target}&X-Amz-Date=20200101T000000Z`,
    target.replace(/X-Amz-SignedHeaders=host/, 'X-Amz-SignedHeaders='),
    target.replace('X-Amz-Expires=60', 'X-Amz-Expires=600'),
    target.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
    `${target}&X-Amz-Security-Token=x`,
  ]) {
    const { status, text } = await send({ method: 'GET', target: changed });
    expect(text).not.toContain('<Account>');
    expect([400, 403]).toContain(status);
  }
});

test('KMS takes a signature in its header and nowhere else', async () => {
  const target = presign('', { service: 'kms', method: 'POST', body: '{}' });
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'TrentService.ListKeys' };
  const answer = await send({ method: 'POST', target, headers, body: '{}' });
  expect(JSON.parse(answer.text)).toMatchObject({ __type: 'MissingAuthenticationTokenException' });
});

test('a GET that is no call of STS is no call', async () => {
  for (const target of ['/', '/?X=1', '/keys?Action=GetCallerIdentity']) {
    expect(await send({ method: 'GET', target })).toMatchObject({
      status: 404,
      text: '<UnknownOperationException/>\n',
    });
  }
});

test('an absolute-form request line is accepted, and its host is the one that counts (RFC 9112, 3.2.2)', async () => {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'TrentService.ListKeys' };
  expect(await signedCall('{}', { target: `http://${hostOf()}/`, headers })).toMatchObject({ status: 200 });
  expect(await signedCall('{}', { target: `http://${hostOf()}`, headers })).toMatchObject({ status: 200 });
  expect(await signedCall('{}', { target: 'http://elsewhere.example/', headers })).toMatchObject({ status: 400 });
  expect(await send({ method: 'GET', target: `http://${hostOf()}/readyz` })).toMatchObject({ status: 200 });
});

test('a signature that does not cover X-Amz-Target is refused', async () => {
  const headers = { 'content-type': 'application/x-amz-json-1.1' };
  const signed = await signedCall('{}', { headers, unsignedHeaders: { 'x-amz-target': 'TrentService.ListKeys' } });
  expect(signed).toMatchObject({
    status: 400,
    text: expect.stringContaining("'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."),
  });
});

test.each(['us-east-2', 'eu-west-2', 'eu-central-1', 'ap-northeast-1', 'ap-southeast-1', 'sa-east-1', 'mx-central-1'])(
  'development serves %s, as every Region of the partition',
  async (region) => {
    expect(await callKms('ListKeys', '{}', { region })).toMatchObject({ status: 200 });
    expect(await signedCall(identity, { service: 'sts', region, headers: form })).toMatchObject({ status: 200 });
  },
);

test('a Region of another partition is none', async () => {
  const { text } = await callKms('ListKeys', '{}', { region: 'cn-north-1' });
  expect(JSON.parse(text)).toMatchObject({
    message: "Credential should be scoped to a valid region, not 'cn-north-1'.",
  });
});
