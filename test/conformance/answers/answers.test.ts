import { beforeAll, describe, expect, inject, test } from 'vitest';
import { aliasRows } from './aliases.rows.ts';
import { callKms } from './call.ts';
import { grantRows } from './grants.rows.ts';
import { importRows } from './imports.rows.ts';
import { type Keys, makeKeys } from './keys.ts';
import { orderRows } from './order.rows.ts';
import { policyRows } from './policies.rows.ts';
import type { Row } from './row.ts';
import { shapeRows, tokenRows } from './shapes.rows.ts';

// A, B and C in a row's title: recorded from AWS or AWS's own words; two reports, or one that measured; one report.

let keys: Keys;
beforeAll(async () => {
  keys = await makeKeys();
});

describe.each<[string, readonly Row[]]>([
  ['security', tokenRows],
  ['an alias where only a key may be', aliasRows],
  ['order and kinds of key', orderRows],
  ['shapes and texts', shapeRows],
  ['key policies', policyRows],
  ['grants', grantRows],
  ['imported material', importRows],
])('%s', (_, rows) => {
  test.each(rows)('$title', async ({ operation, body, answer, status, by }) => {
    const request = body(keys);
    const credentials = by === 'other' ? inject('otherAccount').credentials : inject('cluster').credentials;
    const text = typeof request === 'string' ? request : JSON.stringify(request);
    const given = await callKms(operation, text, { credentials });
    const expected = answer(keys);
    expect(given.text === '' ? undefined : JSON.parse(given.text)).toEqual(expected);
    expect(given.status).toBe(status ?? 400);
    if (expected) expect(given.headers['content-type']).toBe('application/x-amz-json-1.1');
  });
});

test('a JSON number in an encryption context is its literal text: another number, even if it is one as a double, opens nothing', async () => {
  const context = (number: string) => `"EncryptionContext":{"tenant":${number}}`;
  const encrypted = await callKms(
    'Encrypt',
    `{"KeyId":"${keys.S.id}","Plaintext":"aGVsbG8=",${context('9007199254740993')}}`,
  );
  const { CiphertextBlob } = JSON.parse(encrypted.text) as { CiphertextBlob: string };
  const decrypt = (number: string) => callKms('Decrypt', `{"CiphertextBlob":"${CiphertextBlob}",${context(number)}}`);
  expect(await decrypt('9007199254740992')).toMatchObject({
    status: 400,
    text: '{"__type":"InvalidCiphertextException"}',
  });
  for (const same of ['9007199254740993', '"9007199254740993"']) {
    expect(JSON.parse((await decrypt(same)).text)).toMatchObject({ Plaintext: 'aGVsbG8=' });
  }
});

test('no request decides how the escapes of another are read', async () => {
  const encrypt = (key: string) =>
    callKms('Encrypt', `{"KeyId":"${keys.S.id}","Plaintext":"aGVsbG8=","EncryptionContext":{"a":"1","${key}":"1"}}`);
  for (let i = 0; i < 10; i++) await encrypt('tenant\\\\\\"');
  const { CiphertextBlob } = JSON.parse((await encrypt('tenant\\"1')).text) as { CiphertextBlob: string };
  const other = `{"CiphertextBlob":"${CiphertextBlob}","EncryptionContext":{"a":"1","tenant\\"2":"1"}}`;
  expect((await callKms('Decrypt', other)).text).toBe('{"__type":"InvalidCiphertextException"}');
});
