import { describe, expect, test } from 'vitest';
import { KmsException } from '../errors/exceptions.ts';
import { errorBody, responseCodec } from './aws-json.ts';
import { operations } from './registry.ts';

const { Encrypt, TagResource } = operations;

describe('a response', () => {
  test('has blobs in base64, timestamps in seconds, and only what the schema names', () => {
    const KeyMetadata = {
      KeyId: 'k',
      CreationDate: 1568565290250,
      MultiRegion: false,
      EncryptionAlgorithms: ['SYMMETRIC_DEFAULT' as const],
    };
    expect(
      JSON.parse(
        responseCodec(operations.DescribeKey)
          .encode({ KeyMetadata: { ...KeyMetadata, secret: 1 } as typeof KeyMetadata })
          .toString(),
      ),
    ).toEqual({
      KeyMetadata: { ...KeyMetadata, CreationDate: 1568565290.25 },
    });
    const encrypted = { CiphertextBlob: new Uint8Array([1, 2]).subarray(1), KeyId: 'a"b\0ü' };
    expect(responseCodec(Encrypt).encode(encrypted).toString()).toBe(
      '{"CiphertextBlob":"Ag==","KeyId":"a\\"b\\u0000ü"}',
    );
    const opened = { KeyId: 'a"b\0ü', Plaintext: Buffer.from('ab'), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' } as const;
    expect(responseCodec(operations.Decrypt).encode(opened).toString()).toBe(
      '{"KeyId":"a\\"b\\u0000ü","Plaintext":"YWI=","EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}',
    );
  });

  test('is empty without output, and an empty structure for an empty one', () => {
    expect(responseCodec(TagResource).encode(undefined).toString()).toBe('');
    expect(responseCodec(operations.ConnectCustomKeyStore).encode({}).toString()).toBe('{}');
  });

  test('of an error has the text where AWS has it', () => {
    expect(errorBody(new KmsException('NotFoundException', 'm'))).toBe('{"__type":"NotFoundException","message":"m"}');
    expect(errorBody(new KmsException('AccessDeniedException', 'm'))).toBe(
      '{"__type":"AccessDeniedException","Message":"m"}',
    );
    expect(errorBody(new KmsException('InvalidCiphertextException', 'why'))).toBe(
      '{"__type":"InvalidCiphertextException"}',
    );
  });
});
