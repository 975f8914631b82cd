import { Kms } from '@keyfleet/proto/kms';
import { describe, expect, test } from 'vitest';
import { assertFewFields } from './message-fields.ts';

/** The largest message that the edge reads, made of one field over and over. */
const full = (field: readonly number[]) => Buffer.alloc(1_048_000 - (1_048_000 % field.length), Buffer.from(field));
const refused = (message: Uint8Array) =>
  expect(() => assertFewFields(message)).toThrow(expect.objectContaining({ code: 'SerializationException' }));
const taken = (message: Uint8Array) => expect(() => assertFewFields(message)).not.toThrow();
const lengthOf = (bytes: Uint8Array) => [
  (bytes.length & 127) | 128,
  ((bytes.length >> 7) & 127) | 128,
  bytes.length >> 14,
];
const inside = (bytes: Uint8Array) => Buffer.concat([Buffer.from([0x0a, ...lengthOf(bytes)]), bytes]);

describe('a message with more fields than any request has is refused before it is decoded', () => {
  test.each<[string, number[]]>([
    ['empty items', [0x12, 0]],
    ['pairs', [0x1a, 4, 0x0a, 0, 0x12, 0]],
    ['numbers', [0x08, 1]],
    ['long numbers', [0x88, 1, 0xff, 0xff, 0xff, 0xff, 1]],
    ['fields of four bytes', [0x0d, 0, 0, 0, 0]],
    ['fields of eight bytes', [0x09, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])('%s, also in messages in it', (_, field) => {
    refused(full(field));
    refused(inside(full(field)));
    refused(inside(inside(full(field))));
    // What protobuf.js skips, and what it finds only when it has made all the values.
    for (const tail of [[0xf3, 1, 0xf4, 1], [0x0f], [0x12, 9]]) {
      refused(Buffer.concat([full(field), Buffer.from(tail)]));
      refused(inside(Buffer.concat([full(field), Buffer.from(tail)])));
    }
    taken(Buffer.from(field));
  });
});

test('a request with as much as is allowed is taken', () => {
  const { requestSerialize } = Kms.service['Encrypt']!;
  const pairs = Array.from({ length: 8_193 }, (_, i) => [i.toString(36), ''] as const);
  taken(
    requestSerialize({ KeyId: 'k', Plaintext: Buffer.alloc(4_096, 8), EncryptionContext: Object.fromEntries(pairs) }),
  );
  const { requestSerialize: ofPolicy } = Kms.service['PutKeyPolicy']!;
  for (const Policy of [
    '\n'.repeat(32_768),
    '€'.repeat(32_768),
    JSON.stringify(Array(600).fill({ Effect: 'Allow', Action: ['kms:*'] })),
  ])
    taken(ofPolicy({ KeyId: 'k', Policy }));
});

test('messages in each other without end, of which nothing is made, cost little', () => {
  let message: Uint8Array = Buffer.alloc(20_000);
  for (let depth = 0; depth < 5_000; depth++) message = inside(message);
  taken(message);
});
