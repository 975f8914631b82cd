import { Metadata, setLogger } from '@grpc/grpc-js';
import { Kms } from '@keyfleet/proto/kms';
import type { Operation } from '@keyfleet/shared/api/operation';
import { protoCodec } from '@keyfleet/shared/api/proto';
import { operations } from '@keyfleet/shared/api/registry';
import { expect, test } from 'vitest';

/** As over gRPC: through the serializers of kms.proto. */
function sent(operation: Operation, direction: 'request' | 'response', message: object): object {
  const method = Kms.service[operation.name]!;
  if (direction === 'request') return method.requestDeserialize(method.requestSerialize(message)) as object;
  return method.responseDeserialize(method.responseSerialize(message)) as object;
}

const { CreateGrant, DescribeKey, Encrypt, ImportKeyMaterial, TagResource } = operations;

test('kms.proto has a method for every operation', () => {
  expect(Object.keys(Kms.service).toSorted()).toEqual(Object.keys(operations).toSorted());
});

test('a request says over gRPC what it said to the client', () => {
  const codec = protoCodec(Encrypt);
  const request = { KeyId: 'k', Plaintext: Buffer.from('hello'), EncryptionContext: { a: 'b', '': '' }, DryRun: false };
  const input = codec.parseRequest(sent(Encrypt, 'request', codec.formatRequest(request)) as Record<string, unknown>);
  expect(input).toEqual({ ...request, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
  expect(Object.getPrototypeOf(input.EncryptionContext)).toBeNull();
});

test('no encryption context key is lost over gRPC, whatever its name', () => {
  const codec = protoCodec(Encrypt);
  const context = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
  const request = codec.formatRequest({ KeyId: 'k', Plaintext: Buffer.from('a'), EncryptionContext: context });
  const input = codec.parseRequest(sent(Encrypt, 'request', request) as Record<string, unknown>);
  expect(Object.entries(input.EncryptionContext!)).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ]);
});

test('a timestamp that no Date represents is refused over gRPC as over HTTP', () => {
  const codec = protoCodec(ImportKeyMaterial);
  const asked = (seconds: number, nanos = 0) => {
    const message = { KeyId: 'k', ImportToken: Buffer.from('t'), EncryptedKeyMaterial: Buffer.from('m') };
    const request = { ...message, ValidTo: { seconds, nanos } };
    return codec.parseRequest(sent(ImportKeyMaterial, 'request', request) as Record<string, unknown>).ValidTo;
  };
  const refusal = 'NUMBER_VALUE can not be converted to milliseconds since epoch';
  for (const seconds of [8_640_000_000_001, -8_640_000_000_001, 9e15]) expect(() => asked(seconds)).toThrow(refusal);
  expect(asked(8_640_000_000_000)).toBe(8.64e15);
  expect(asked(1_568_565_290, 250_000_000)).toBe(1_568_565_290_250);
});

test('timestamps, structures and lists keep their values over gRPC', () => {
  const request = {
    KeyId: 'k',
    ImportToken: Buffer.from('t'),
    EncryptedKeyMaterial: Buffer.from('m'),
    ExpirationModel: 'KEY_MATERIAL_EXPIRES' as const,
    ValidTo: 1568565290250,
  };
  const importing = protoCodec(ImportKeyMaterial);
  expect(
    importing.parseRequest(
      sent(ImportKeyMaterial, 'request', importing.formatRequest(request)) as Record<string, unknown>,
    ),
  ).toEqual(request);
  const describing = protoCodec(DescribeKey);
  const output = {
    KeyMetadata: {
      KeyId: 'k',
      CreationDate: -1500,
      Enabled: false,
      MacAlgorithms: ['HMAC_SHA_256' as const],
      MultiRegionConfiguration: { ReplicaKeys: [{ Region: 'us-east-1' }] },
    },
  };
  expect(
    describing.parseResponse(
      sent(DescribeKey, 'response', describing.formatResponse(output)) as Record<string, unknown>,
    ),
  ).toEqual(output);
});

test('validation says over gRPC what it says over HTTP, and an absent list is an empty one', () => {
  expect(() =>
    protoCodec(Encrypt).parseRequest(sent(Encrypt, 'request', { KeyId: '' }) as Record<string, unknown>),
  ).toThrow(
    "3 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'keyId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^\\p{ASCII}+$; Value at 'plaintext' failed to satisfy constraint: Member must not be null",
  );
  expect(protoCodec(TagResource).parseRequest({ KeyId: 'k' }).Tags).toEqual([]);
  expect(protoCodec(CreateGrant).parseRequest({ KeyId: 'k' }).GrantTokens).toBeUndefined();
});

test('grpc-js prints nothing of the headers that it cannot take', () => {
  const printed: unknown[] = [];
  setLogger({ error: (...all: unknown[]) => printed.push(all) });
  const metadata = Metadata.fromHttp2Headers({ 'x-amz-security-token': 'secret \u00E9' });
  setLogger(console);
  expect(metadata.get('x-amz-security-token')).toEqual([]);
  expect(printed).toEqual([]);
});
