import { describe, expect, test } from 'vitest';
import { KmsException } from '../errors/exceptions.ts';
import { requestCodec } from './aws-json.ts';
import type { Operation } from './operation.ts';
import { operations } from './registry.ts';

function parse<O extends Operation>(operation: O, body: unknown) {
  return requestCodec(operation).parse(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
}

function refusal(operation: Operation, body: unknown): string {
  try {
    parse(operation, body);
  } catch (error) {
    if (error instanceof KmsException) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

const { CreateGrant, CreateKey, Encrypt, GenerateRandom, ImportKeyMaterial, ListKeys, TagResource } = operations;
const encrypt = { KeyId: 'alias/a', Plaintext: 'aGVsbG8=' };

describe('a request', () => {
  test('becomes domain values, with documented defaults and without unknown members', () => {
    expect(parse(Encrypt, { ...encrypt, EncryptionContext: { a: 'b' }, DryRun: null, Unknown: 1 })).toEqual({
      KeyId: 'alias/a',
      Plaintext: Buffer.from('hello'),
      EncryptionContext: { a: 'b' },
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    });
  });

  test('keeps "absent" apart where KMS decides by it', () => {
    expect(parse(CreateKey, {})).not.toHaveProperty('KeyUsage');
    expect(parse(CreateKey, {})).not.toHaveProperty('KeySpec');
  });

  test('has timestamps in milliseconds and integers without fraction', () => {
    const body = { KeyId: 'k', ImportToken: 'AA==', EncryptedKeyMaterial: 'AA==', ValidTo: 1568565290.25 };
    expect(parse(ImportKeyMaterial, body).ValidTo).toBe(1568565290250);
    expect(parse(ListKeys, { Limit: 7.9 }).Limit).toBe(7);
  });

  test('may name encryption context keys as it likes, and no key is lost or inherited', () => {
    const { EncryptionContext } = parse(
      Encrypt,
      '{"KeyId":"k","Plaintext":"AA==","EncryptionContext":{"__proto__":"x"}}',
    );
    expect(Object.entries(EncryptionContext!)).toEqual([['__proto__', 'x']]);
    expect(EncryptionContext!['constructor']).toBeUndefined();
  });

  test('has scalars in the encryption context turned into text', () => {
    const body = { ...encrypt, EncryptionContext: { n: 1.5, b: true } };
    expect(parse(Encrypt, body).EncryptionContext).toEqual({ n: '1.5', b: 'true' });
  });

  test.each([
    '9007199254740993',
    '-0',
    '1.0',
    '1e400',
    '0.1000000000000000055511151231257827',
    '123456789012345678901234567890',
  ])('has the number %s of an encryption context as it was written', (number) => {
    const context = `{ "n" :${number}, "__proto__":\t${number},"t":"7"}`;
    const body = `{"KeyId":"k","Plaintext":"AA==","EncryptionContext":${context},"DryRun":false}`;
    expect(Object.entries(parse(Encrypt, body).EncryptionContext!)).toEqual([
      ['n', number],
      ['__proto__', number],
      ['t', '7'],
    ]);
    const grant = `{"KeyId":"k","Operations":[],"Constraints":{"EncryptionContextSubset":${context}}}`;
    expect(parse(CreateGrant, grant).Constraints?.EncryptionContextSubset?.['n']).toBe(number);
  });

  test.each([
    ['x\\\\', 'x\\"', 'x"'],
    ['tenant\\\\\\"', 'tenant\\"1', 'tenant"1'],
    ['\\\\', '\\u0041', 'A'],
  ])('reads the escapes of a context key as they stand, whatever stood in a request before', (before, raw, key) => {
    const keysOf = (written: string) =>
      Object.keys(
        parse(Encrypt, `{"KeyId":"k","Plaintext":"AA==","EncryptionContext":{"a":"1","${written}":"1"}}`)
          .EncryptionContext!,
      );
    keysOf(before);
    keysOf(before);
    expect(keysOf(raw)).toEqual(['a', key]);
  });

  test('has of a number given twice the last one, and its text with it', () => {
    const twice = (context: string) =>
      parse(Encrypt, `{"KeyId":"k","Plaintext":"AA==","EncryptionContext":${context}}`).EncryptionContext!['n'];
    expect(twice('{"n":1.0,"n":2.0}')).toBe('2.0');
    expect(twice('{"n":1.0,"n":"x"}')).toBe('x');
    expect(twice('{"n":"x","n":2.0}')).toBe('2.0');
  });

  const pairs = (count: number, value: string) =>
    `{${Array.from({ length: count }, (_, i) => `"${i === 0 ? '' : String.fromCharCode(0x4000 + i)}":${value}`).join(',')}}`;
  const tooLong = 'Map must have a total length of keys and values less than or equal to 8192';

  test.each(['1', '""', '"\\u0041"'])('has no context of more pairs than its length allows, each with %s', (value) => {
    const withContext = (count: number) =>
      `{"KeyId":"k","Plaintext":"AA==","EncryptionContext":${pairs(count, value)}}`;
    const expected = `ValidationException: 1 validation error detected: Value at 'encryptionContext' failed to satisfy constraint: ${tooLong}`;
    expect(refusal(Encrypt, withContext(60_000))).toBe(expected);
    expect(refusal(Encrypt, withContext(8_194))).toBe(expected);
    if (value === '""') expect(() => parse(Encrypt, withContext(8_193))).not.toThrow();
  });

  test('has no lists in lists that have more items than any request’s all together', () => {
    const nested = (lists: number) =>
      `{"KeyId":"k","Plaintext":"AA==","Other":[${`[${'1,'.repeat(60)}1],`.repeat(lists)}[]]}`;
    expect(() => parse(Encrypt, nested(500))).not.toThrow();
    expect(refusal(Encrypt, nested(600))).toBe('SerializationException: ');
  });

  test('names a map or list that is larger than any, also in a structure, and reads nothing else that is as large', () => {
    const grant = (constraint: string) =>
      `{"KeyId":"k","GranteePrincipal":"p","Operations":["Encrypt"],"Constraints":{"${constraint}":${pairs(9_000, '1')}}}`;
    expect(refusal(CreateGrant, grant('EncryptionContextSubset'))).toBe(
      `ValidationException: 1 validation error detected: Value at 'constraints.encryptionContextSubset' failed to satisfy constraint: ${tooLong}`,
    );
    expect(refusal(CreateGrant, grant('Other'))).toBe('SerializationException: ');
    expect(refusal(TagResource, `{"KeyId":"k","Tags":[${'{},'.repeat(100_000)}{}]}`)).toBe(
      "ValidationException: 1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 1000",
    );
    expect(refusal(Encrypt, `{"KeyId":"k","Plaintext":"AA==","Other":[${'[],'.repeat(300_000)}[]]}`)).toBe(
      'SerializationException: ',
    );
  });

  test('cannot set members through a prototype', () => {
    expect(refusal(Encrypt, '{"__proto__":{"KeyId":"k","Plaintext":"AA=="}}')).toContain("Value null at 'keyId'");
  });

  test.each([
    ['not JSON', '{', ''],
    ['nothing', '', ''],
    ['null', 'null', ''],
    ['text', '"x"', ''],
    ['a list', '[]', 'Start of list found where not expected'],
    ['a number for text', { KeyId: 1 }, 'NUMBER_VALUE can not be converted to a String'],
    ['a flag for text', { KeyId: true }, 'TRUE_VALUE can not be converted to a String'],
    ['a list for text', { KeyId: [] }, 'Start of list found where not expected'],
    ['a structure for text', { KeyId: {} }, 'Start of structure or map found where not expected.'],
    ['text for a flag', { DryRun: 'true' }, 'STRING_VALUE can not be converted to a Boolean'],
    ['text for a list', { GrantTokens: 'x' }, 'Expected list or null'],
    ['a structure for a list', { GrantTokens: {} }, 'Start of structure or map found where not expected.'],
    ['text for a map', { EncryptionContext: 'x' }, 'Expected map or null'],
    ['a structure in a map', { EncryptionContext: { a: {} } }, 'Start of structure or map found where not expected.'],
    ['base64 without padding', { Plaintext: 'aGVsbG8' }, ''],
    ['base64 with white space', { Plaintext: 'aGVs bG8=' }, ''],
    ['base64url', { Plaintext: '_-__' }, ''],
    ['base64 with spare bits set', { Plaintext: 'aGVsbG9=' }, ''],
    ['a lone surrogate', '{"KeyId":"\\ud800"}', ''],
  ])('with %s is a SerializationException', (_, body, message) => {
    expect(refusal(Encrypt, body)).toBe(`SerializationException: ${message}`);
  });

  test('with text for a number or a structure is a SerializationException', () => {
    expect(refusal(ListKeys, { Limit: '1' })).toBe(
      'SerializationException: STRING_VALUE can not be converted to an Integer',
    );
    expect(refusal(GenerateRandom, { Recipient: 'x' })).toBe('SerializationException: Expected null');
  });

  test('that is not UTF-8 is a SerializationException', () => {
    const body = Buffer.from('{"KeyId":"\xff"}', 'latin1');
    expect(() => requestCodec(Encrypt).parse(body)).toThrow(
      expect.objectContaining({ code: 'SerializationException' }),
    );
  });

  test.each([64, 65, 1000])('nested %i deep has one answer, whatever else is in it', (depth) => {
    const nested = `${'['.repeat(depth - 1)}1${']'.repeat(depth - 1)}`;
    const plain = `{"KeyId":"k","Plaintext":"AA==","Unknown":${nested}}`;
    const escaped = plain.replace('"k"', '"\\u006b"');
    const answer = depth > 64 ? 'SerializationException: ' : 'accepted';
    expect([refusal(Encrypt, plain), refusal(Encrypt, escaped)]).toEqual([answer, answer]);
  });

  test('nested a million deep is refused like any other', () => {
    expect(refusal(Encrypt, '['.repeat(1_000_000))).toBe('SerializationException: ');
    expect(refusal(Encrypt, `{"KeyId":${'['.repeat(500_000)}${']'.repeat(500_000)}}`)).toBe('SerializationException: ');
  });

  test.each([
    [
      Encrypt,
      {},
      "2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; Value at 'plaintext' failed to satisfy constraint: Member must not be null",
    ],
    [
      Encrypt,
      { ...encrypt, Plaintext: '' },
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ],
    [
      Encrypt,
      { ...encrypt, Plaintext: Buffer.alloc(4097).toString('base64') },
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
    ],
    [
      Encrypt,
      { ...encrypt, EncryptionAlgorithm: 'X' },
      "1 validation error detected: Value 'X' at 'encryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE, SYMMETRIC_DEFAULT]",
    ],
    [
      Encrypt,
      { ...encrypt, EncryptionContext: { a: null } },
      "1 validation error detected: Value '{a=null}' at 'encryptionContext' failed to satisfy constraint: Map value must satisfy constraint: [Member must not be null]",
    ],
    [
      Encrypt,
      { ...encrypt, GrantTokens: [''] },
      "1 validation error detected: Value '[]' at 'grantTokens' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 8192, Member must have length greater than or equal to 1]",
    ],
    [
      GenerateRandom,
      { NumberOfBytes: 0 },
      "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ],
    [
      GenerateRandom,
      { NumberOfBytes: 99999999999 },
      "1 validation error detected: Value '2147483647' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024",
    ],
    [
      TagResource,
      { KeyId: 'k', Tags: [{ TagKey: '', TagValue: 'v' }] },
      "1 validation error detected: Value '' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ],
    [
      TagResource,
      { KeyId: 'k', Tags: [null] },
      "1 validation error detected: Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null",
    ],
    [
      ListKeys,
      { Marker: '☃' },
      "1 validation error detected: Value '☃' at 'marker' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\u0020-\\u00FF]*",
    ],
  ])('of %# breaks its constraints in AWS words', (operation, body, message) => {
    expect(refusal(operation, body)).toBe(`ValidationException: ${message}`);
  });

  test('lists a bad item of a list of scalars with the whole list', () => {
    const message = refusal(CreateGrant, { KeyId: 'k', GranteePrincipal: 'p', Operations: ['Encrypt', 'Fly'] });
    expect(message).toContain(
      "Value '[Encrypt, Fly]' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [Decrypt, Encrypt,",
    );
  });

  test('with a wrong type is refused for that before any constraint', () => {
    expect(refusal(Encrypt, { KeyId: '', Plaintext: 1 })).toMatch(/^SerializationException/);
  });

  test('keeps a password out of the message', () => {
    const body = { CustomKeyStoreName: 'n', KeyStorePassword: 'secret' };
    expect(refusal(operations.CreateCustomKeyStore, body)).not.toContain('secret');
  });
});
