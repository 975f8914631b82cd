import { alice, startEdge } from '@keyfleet/test-support/edge-fixture';
import { once } from 'node:events';
import { connect } from 'node:http2';
import {
  credentials as channel,
  Client,
  type Interceptor,
  InterceptingCall,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { createKmsClient, KmsException } from '@keyfleet/client';
import { newSignedCall } from '@keyfleet/client/signed-call';
import { expect, test, vi } from 'vitest';

const credentials = { accessKeyId: alice.accessKeyId, secretAccessKey: alice.secretAccessKey };

interface Edge {
  readonly grpcAddress: string;
}

function kmsClient(edge: Edge, changes: object = {}) {
  return createKmsClient({ address: edge.grpcAddress, region: 'us-east-1', credentials, ...changes });
}

/** Sends these bytes to a method, signed as they are before `tamper` sees them. */
async function call(
  edge: Edge,
  message: Buffer,
  tamper?: Interceptor,
  method = 'ListKeys',
): Promise<ServiceError | null> {
  const client = clientOf(edge, tamper);
  const error = await callBy(edge, client, message, method);
  client.close();
  return error;
}

function clientOf(edge: Edge, tamper?: Interceptor): Client {
  const interceptors = tamper ? [tamper] : [];
  return new Client(edge.grpcAddress, channel.createInsecure(), { interceptors });
}

/** Signs and sends. */
function callBy(edge: Edge, client: Client, message: Buffer, method = 'ListKeys'): Promise<ServiceError | null> {
  const signed = newSignedCall(client, { credentials, region: 'us-east-1', host: edge.grpcAddress });
  return signed(`/keyfleet.kms.v1.Kms/${method}`, message, Infinity).then(
    () => null,
    (error: ServiceError) => error,
  );
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

function trailer(error: ServiceError | null): unknown {
  return error?.metadata.get('kms-error')[0];
}

test('a signed call reaches its operation and brings the answer back, typed', async () => {
  await using edge = await startEdge();
  using kms = kmsClient(edge, { credentials: () => Promise.resolve(credentials) });
  expect(await kms.ListKeys({ Limit: 3 })).toEqual({ Keys: [{ KeyId: 'k', KeyArn: 'arn:k' }], Truncated: false });
  const { CiphertextBlob } = await kms.Encrypt({
    KeyId: 'k',
    Plaintext: Buffer.from('p'),
    EncryptionContext: { a: 'b' },
  });
  expect(Buffer.from(CiphertextBlob!).toString()).toBe('sealed');
  expect(await kms.CreateAlias({ AliasName: 'alias/a', TargetKeyId: 'k' })).toBeUndefined();
  expect(edge.invocations).toMatchObject([
    { operation: 'ListKeys', input: { Limit: 3 }, call: { caller: { arn: alice.arn }, region: 'us-east-1' } },
    { operation: 'Encrypt', input: { EncryptionContext: { a: 'b' } } },
    { operation: 'CreateAlias' },
  ]);
});

test('exceptions are rebuilt with name and message; a fault tells nothing', async () => {
  await using edge = await startEdge();
  using kms = kmsClient(edge);
  const notFound = await kms.DescribeKey({ KeyId: 'k' }).catch((error: unknown) => error);
  expect(notFound).toBeInstanceOf(KmsException);
  expect(notFound).toMatchObject({ code: 'NotFoundException', message: "Key 'arn:k' does not exist" });
  await expect(kms.Decrypt({ CiphertextBlob: Buffer.from('x') })).rejects.toMatchObject({
    code: 'InvalidCiphertextException',
    message: '',
  });
  await expect(kms.GetPublicKey({ KeyId: 'k' })).rejects.toMatchObject({ code: 'KMSInternalException', message: '' });
  await expect(kms.ListKeys({ Limit: 0 })).rejects.toMatchObject({
    code: 'ValidationException',
    message: expect.stringContaining("Value '0' at 'limit' failed to satisfy constraint") as unknown,
  });
});

test.each([
  ['cut within a character', (length: number) => `${'a'.repeat(length)}${'😀'.repeat(5_000)}`],
  ['longer on the wire than trailers may be', (length: number) => '€'.repeat(8_192 + length)],
])('a message that would be %s is sent like any other, and the connection goes on', async (_, value) => {
  await using edge = await startEdge();
  using kms = kmsClient(edge);
  for (const length of [0, 1]) {
    await expect(kms.DescribeKey({ KeyId: value(length) })).rejects.toMatchObject({ code: 'ValidationException' });
  }
  await expect(kms.ListKeys({})).resolves.toBeDefined();
});

test.each([
  ['a wrong secret', { credentials: { ...credentials, secretAccessKey: 'x' } }, 'InvalidSignatureException'],
  [
    'an unknown access key',
    { credentials: { ...credentials, accessKeyId: 'AKIANOBODYNOBODYNOBO' } },
    'UnrecognizedClientException',
  ],
  ['a session token', { credentials: { ...credentials, sessionToken: 't' } }, 'UnrecognizedClientException'],
  ['a Region that is not served', { region: 'mars-1' }, 'InvalidSignatureException'],
])('%s is refused, recorded, and reaches no operation', async (_, changes, code) => {
  await using edge = await startEdge();
  using kms = kmsClient(edge, changes);
  await expect(kms.ListKeys({})).rejects.toMatchObject({ code });
  expect(edge.invocations).toEqual([]);
  expect(edge.refusals).toMatchObject([{ operation: 'ListKeys', exception: { code } }]);
});

test('a message or a signature changed on its way does not verify', async () => {
  await using edge = await startEdge();
  const otherMessage: Interceptor = (options, next) =>
    new InterceptingCall(next(options), { sendMessage: (_, send) => send(Buffer.from([0x08, 0x05])) });
  const otherSignature: Interceptor = (options, next) =>
    new InterceptingCall(next(options), {
      start(metadata, listener, start) {
        const signed = metadata.get('authorization')[0]!.toString();
        metadata.set(
          'authorization',
          signed.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
        );
        start(metadata, listener);
      },
    });
  expect(trailer(await call(edge, Buffer.from([0x08, 0x03])))).toBeUndefined();
  expect(trailer(await call(edge, Buffer.from([0x08, 0x03]), otherMessage))).toBe('InvalidSignatureException');
  expect(trailer(await call(edge, Buffer.from([0x08, 0x03]), otherSignature))).toBe('InvalidSignatureException');
  expect(edge.invocations).toHaveLength(1);
});

/** Lets a client be wrong in one way: changes its metadata when it is signed. */
function changing(change: (metadata: Metadata) => void): Interceptor {
  return (options, next) =>
    new InterceptingCall(next(options), {
      start(metadata, listener, start) {
        change(metadata);
        start(metadata, listener);
      },
    });
}

test.each<[string, RegExp, Interceptor]>([
  [
    'a message marshalled anew after it was hashed',
    /The message is not the one that was signed: the SHA-256 of the 2 bytes received is '[0-9a-f]{64}', x-amz-content-sha256 states '[0-9a-f]{64}'/,
    (options, next) =>
      new InterceptingCall(next(options), { sendMessage: (_, send) => send(Buffer.from([0x08, 0x05])) }),
  ],
  [
    'a call without its hash',
    /has no 'x-amz-content-sha256': a gRPC call must state the SHA-256 of its message there/,
    changing((metadata) => metadata.remove('x-amz-content-sha256')),
  ],
  [
    'a hash that is none',
    /must be the SHA-256 of the message in lower-case hex, not 'UNSIGNED-PAYLOAD'/,
    changing((metadata) => metadata.set('x-amz-content-sha256', 'UNSIGNED-PAYLOAD')),
  ],
  [
    'a signature of something else',
    /It was calculated for 'POST \/keyfleet.kms.v1.Kms\/ListKeys' with host '127.0.0.1:\d+' and payload hash '[0-9a-f]{64}'/,
    changing((metadata) => {
      const signed = metadata.get('authorization')[0]!.toString();
      metadata.set('authorization', `${signed.slice(0, -64)}${'0'.repeat(64)}`);
    }),
  ],
])('%s is named as the cause', async (_, cause, mistake) => {
  await using edge = await startEdge();
  const error = await call(edge, Buffer.from([0x08, 0x03]), mistake);
  expect(trailer(error)).toBe('InvalidSignatureException');
  expect(error?.details).toMatch(cause);
  expect(edge.invocations).toEqual([]);
});

const unsignedCall = {
  ':method': 'POST',
  ':path': '/keyfleet.kms.v1.Kms/ListKeys',
  'content-type': 'application/grpc',
  te: 'trailers',
};

test('a stranger is refused by the headers; nothing of the message is waited for', async () => {
  await using edge = await startEdge();
  const session = connect(`http://${edge.grpcAddress}`);
  const stream = session.request(unsignedCall);
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  expect(headers).toMatchObject({ 'grpc-status': '16', 'kms-error': 'MissingAuthenticationTokenException' });
  session.destroy();
  expect(edge.refusals).toMatchObject([{ operation: 'ListKeys' }]);
});

test('what HTTP/2 takes of a stranger’s calls that wait is bounded, and others are served', async () => {
  await using edge = await startEdge();
  const message = Buffer.alloc(65_535);
  // 32 connections of one peer with 4 MB each.
  const sessions = Array.from({ length: 32 }, () => {
    const session = connect(`http://${edge.grpcAddress}`).on('error', () => {});
    for (let i = 0; i < 60; i++)
      session
        .request(unsignedCall)
        .on('error', () => {})
        .write(message);
    return session;
  });
  const ended = () => sessions.filter(({ destroyed }) => destroyed).length;
  await expect.poll(ended).toBeGreaterThan(0);
  expect(await call(edge, Buffer.alloc(0))).toBeNull();
  expect(ended()).toBeLessThan(16);
  for (const session of sessions) session.destroy();
});

test('calls that a stranger cancels are not worked on beyond the answers that it is due', async () => {
  await using edge = await startEdge();
  const session = connect(`http://${edge.grpcAddress}`).on('error', () => {});
  await once(session, 'connect');
  const headers = {
    ':method': 'POST',
    ':path': '/keyfleet.kms.v1.Kms/ListKeys',
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIANOBODY/20200101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=a',
  };
  const from = performance.now();
  for (let i = 0; i < 6; i++) {
    for (let j = 0; j < 40; j++)
      session
        .request(headers)
        .on('error', () => {})
        .close(8);
    await new Promise((arrived) => session.ping(arrived));
  }
  expect(await call(edge, Buffer.alloc(0))).toBeNull();
  const due = 100 + ((performance.now() - from) / 1000) * 50;
  expect(edge.refusals.length).toBeGreaterThan(0);
  expect(edge.refusals.length).toBeLessThan(due + 10);
  session.destroy();
});

test('more headers than over HTTP end a stranger’s connection and are refused to a caller', async () => {
  await using edge = await startEdge();
  const long = { 'x-long': 'x'.repeat(17_000) };
  const session = connect(`http://${edge.grpcAddress}`);
  const stream = session.request({ ...unsignedCall, ...long });
  stream.on('error', () => undefined);
  session.on('error', () => undefined);
  await once(session, 'close');
  expect(edge.refusals).toEqual([]);

  let isLong = false;
  const lengthen: Interceptor = (options, next) =>
    new InterceptingCall(next(options), {
      start(metadata, listener, start) {
        if (isLong) metadata.set('x-long', long['x-long']);
        start(metadata, listener);
      },
    });
  const client = clientOf(edge, lengthen);
  expect(await callBy(edge, client, Buffer.alloc(0))).toBeNull();
  isLong = true;
  const refused = { code: 8, details: 'The request headers are too large.' };
  expect(await callBy(edge, client, Buffer.alloc(0))).toMatchObject(refused);
  client.close();
});

/**
 * The status that grpc.health.v1 tells of a service, as a probe asks it: 1 is SERVING, 2 NOT_SERVING; or the error's
 * code.
 */
async function checkHealth(edge: Edge, name: string): Promise<unknown> {
  const client = new Client(edge.grpcAddress, channel.createInsecure());
  const request = Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)]);
  const told = Promise.withResolvers<unknown>();
  client.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, request, (error, answer) =>
    told.resolve(error === null ? { status: answer![1] } : { error: error.code }),
  );
  const health = await told.promise;
  client.close();
  return health;
}

test('anyone may ask for the health of the server and of its service; it is what /readyz says', async () => {
  let redis = true;
  await using edge = await startEdge({ readiness: () => ({ redis: { ok: redis } }) });
  expect(await checkHealth(edge, '')).toEqual({ status: 1 });
  expect(await checkHealth(edge, 'keyfleet.kms.v1.Kms')).toEqual({ status: 1 });
  expect(await checkHealth(edge, 'another.Service')).toEqual({ error: status.NOT_FOUND });
  redis = false;
  await vi.waitFor(async () => expect(await checkHealth(edge, '')).toEqual({ status: 2 }), 5_000);
});

test('a question about health is small, and whoever asks without end gets fifty answers a second', async () => {
  await using edge = await startEdge();
  expect(await checkHealth(edge, 'n'.repeat(127))).toEqual({ error: status.NOT_FOUND });
  const client = new Client(edge.grpcAddress, channel.createInsecure());
  const check = (request: Buffer) =>
    new Promise<unknown>((told) =>
      client.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, request, (error) => told(error?.code)),
    );
  expect(await check(Buffer.concat([Buffer.from('0a8040', 'hex'), Buffer.alloc(8_192, 'n')]))).toBe(8);
  const zipping = new Client(edge.grpcAddress, channel.createInsecure(), { 'grpc.default_compression_algorithm': 2 });
  const checkWith = (metadata: Metadata, by = client) =>
    new Promise<unknown>((told) =>
      by.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, Buffer.alloc(999, 0), metadata, (error) =>
        told(error?.code),
      ),
    );
  expect(await checkWith(new Metadata(), zipping)).toBe(8);
  const long = new Metadata();
  long.set('x-long', 'n'.repeat(5_000));
  expect([8, 14]).toContain(await checkWith(long, zipping));
  zipping.close();
  const since = performance.now();
  const all = await Promise.all(Array.from({ length: 200 }, () => check(Buffer.alloc(0))));
  expect(all).toEqual(all.map(() => undefined));
  expect(performance.now() - since).toBeGreaterThan(1_000);
  client.close();
});

test('a stranger that calls what is not there without end is cut off, and a caller with a key is not', async () => {
  await using edge = await startEdge();
  const stranger = new Client(edge.grpcAddress, channel.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const client = clientOf(edge);
  expect(await callBy(edge, client, Buffer.alloc(0))).toBeNull();
  const unsigned = () =>
    new Promise<unknown>((told) =>
      stranger.makeUnaryRequest('/keyfleet.kms.v1.Kms/Nothing', same, same, Buffer.alloc(0), (error) =>
        told(error?.code),
      ),
    );
  const signed = async () => (await callBy(edge, client, Buffer.alloc(0), 'Nothing'))?.code;
  const codes = await Promise.all(Array.from({ length: 300 }, unsigned));
  expect(new Set(codes)).toEqual(new Set([status.UNIMPLEMENTED, status.UNAVAILABLE]));
  expect(await Promise.all(Array.from({ length: 300 }, signed))).not.toContain(status.UNAVAILABLE);
  stranger.close();
  client.close();
});

/** What server reflection answers when it is asked for the services; or the error's code. */
async function reflectedServices(edge: Edge): Promise<unknown> {
  const client = new Client(edge.grpcAddress, channel.createInsecure());
  const stream = client.makeBidiStreamRequest('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', same, same);
  const told = Promise.withResolvers<unknown>();
  stream.on('data', (answer: Buffer) => told.resolve(answer.toString('latin1')));
  stream.on('error', ({ code }: ServiceError) => told.resolve(code));
  const listServices = Buffer.from([0x3a, 0x00]);
  stream.write(listServices);
  const answer = await told.promise;
  stream.cancel();
  client.close();
  return answer;
}

test('server reflection tells the service where it is on, and nothing where it is not asked for', async () => {
  await using development = await startEdge({ reflection: true });
  expect(await reflectedServices(development)).toContain('keyfleet.kms.v1.Kms');
  await using production = await startEdge();
  expect(await reflectedServices(production)).toBe(status.UNIMPLEMENTED);
});

test.each([
  ['is not UTF-8', Buffer.from('0a026bff120170', 'hex')],
  ['in a map is not UTF-8', Buffer.from('0a016b1201701a060a01611201ff', 'hex')],
  ['is a lone surrogate', Buffer.from('0a03eda080120170', 'hex')],
  ['is longer than its message', Buffer.from('1201700a056b', 'hex')],
])('a text that %s is no text: it would be read as another', async (_, message) => {
  await using edge = await startEdge();
  expect(trailer(await call(edge, message, undefined, 'Encrypt'))).toBe('SerializationException');
  expect(edge.invocations).toEqual([]);
});

test('what is not a message, too much of it, and an unknown method are errors of their own', async () => {
  await using edge = await startEdge();
  expect(trailer(await call(edge, Buffer.from([0xff])))).toBe('SerializationException');
  expect((await call(edge, Buffer.alloc(1_048_577)))?.code).toBe(8);
  expect((await call(edge, Buffer.alloc(0), undefined, 'Nothing'))?.code).toBe(12);
  expect(edge.invocations).toEqual([]);
});

test('a failing credential provider fails the call with its reason', async () => {
  await using edge = await startEdge();
  using kms = kmsClient(edge, { credentials: () => Promise.reject(new Error('no profile')) });
  await expect(kms.ListKeys({})).rejects.toThrow('no profile');
});

test('a call that comes by a trusted proxy is of whom the proxy names', async () => {
  await using trusting = await startEdge({ trustedProxies: ['127.0.0.1'] });
  await using plain = await startEdge();
  const forward: Interceptor = (options, next) =>
    new InterceptingCall(next(options), {
      start(metadata, listener, start) {
        metadata.set('x-forwarded-for', '192.0.2.1, 203.0.113.9');
        start(metadata, listener);
      },
    });
  for (const edge of [trusting, plain]) await call(edge, Buffer.alloc(0), forward);
  expect(trusting.invocations.map(({ call: { sourceIpAddress } }) => sourceIpAddress)).toEqual(['203.0.113.9']);
  expect(plain.invocations[0]?.call.sourceIpAddress).toContain('127.0.0.1');
});
