import {
  credentials as channel,
  Client,
  type Interceptor,
  InterceptingCall,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { createKmsClient, KmsException } from '@keyfleet/client';
import { signingInterceptor } from '@keyfleet/client/signing-interceptor';
import { expect, test } from 'vitest';
import { alice, startEdge } from '../support/edge-fixture.ts';

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
  const sign = signingInterceptor({ credentials, region: 'us-east-1', host: edge.grpcAddress });
  const client = new Client(edge.grpcAddress, channel.createInsecure(), {
    interceptors: tamper ? [sign, tamper] : [sign],
  });
  const error = await new Promise<ServiceError | null>((resolve) => {
    const same = (bytes: Buffer) => bytes;
    client.makeUnaryRequest(`/keyfleet.kms.v1.Kms/${method}`, same, same, message, new Metadata(), {}, resolve);
  });
  client.close();
  return error;
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
