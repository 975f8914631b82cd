import { Kms } from '@keyfleet/proto/kms';
import { describe, expect, test } from 'vitest';
import { assertFewFields, type Shape, shapeOf } from './message-fields.ts';

const MOST_BYTES = 1_048_000;
/** The largest message that the edge reads, or a part of one, made of one field over and over. */
const full = (field: Uint8Array | readonly number[], bytes = MOST_BYTES) =>
  Buffer.alloc(bytes - (bytes % field.length), Uint8Array.from(field));
const lengthOf = (bytes: Uint8Array) => [
  (bytes.length & 127) | 128,
  ((bytes.length >> 7) & 127) | 128,
  bytes.length >> 14,
];
const inField = (number: number, bytes: Uint8Array, wireType = 2) =>
  Buffer.concat([Buffer.from([(number << 3) | wireType, ...lengthOf(bytes)]), bytes]);

const tagResource = shapeOf('TagResourceRequest');
const [KEY_ID, TAGS] = [1, 2];
const createGrant = shapeOf('CreateGrantRequest');
const [CONSTRAINTS, SUBSET] = [5, 1];

const refused = (message: Uint8Array, shape: Shape) =>
  expect(() => assertFewFields(message, shape)).toThrow(expect.objectContaining({ code: 'SerializationException' }));
const taken = (message: Uint8Array, shape: Shape) => expect(() => assertFewFields(message, shape)).not.toThrow();

describe('a message with more fields than any request has is refused before it is decoded', () => {
  test.each<[string, number[]]>([
    ['items, or pairs, without anything', [0x12, 0]],
    ['texts', [0x0a, 0]],
    ['fields that it does not have', [0x78, 1]],
    ['long numbers', [0xf8, 1, 0xff, 0xff, 0xff, 0xff, 1]],
    ['fields of four bytes', [0x7d, 0, 0, 0, 0]],
    ['fields of eight bytes', [0x79, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])('%s, also in messages in it', (_, field) => {
    refused(full(field), tagResource);
    refused(inField(TAGS, full(field)), tagResource);
    refused(inField(CONSTRAINTS, inField(SUBSET, full(field))), createGrant);
    // What protobuf.js skips, and what it finds only when it has made all the values.
    for (const tail of [[0xf3, 1, 0xf4, 1], [0x0f], [0x12, 9]]) {
      refused(Buffer.concat([full(field), Buffer.from(tail)]), tagResource);
      refused(inField(TAGS, Buffer.concat([full(field), Buffer.from(tail)])), tagResource);
    }
    taken(Buffer.from(field), tagResource);
  });

  test('though each of its messages has few', () => {
    refused(full(inField(TAGS, full([0x0a, 0], 16_000))), tagResource);
    refused(full(inField(CONSTRAINTS, full([0x0a, 0], 16_000))), createGrant);
    refused(full(inField(CONSTRAINTS, full(inField(SUBSET, full([0x0a, 0], 160)), 16_000))), createGrant);
  });

  test('though other fields are counted, of which one wraps the rest, than protobuf.js reads by another wire type', () => {
    const many = full([0x12, 0], MOST_BYTES - 100);
    // As a number or four bytes of it, the length of the text; then what the text hides.
    for (const wireType of [0, 1, 3, 5])
      for (const pad of [0, 1, 2, 3, 4, 5])
        refused(
          Buffer.concat([
            Buffer.from([(KEY_ID << 3) | wireType, pad + 5, ...Buffer.alloc(pad), 0x7a]),
            inField(0, many),
          ]),
          tagResource,
        );
  });
});

describe('a number of more bytes than it needs, which protobuf.js reads as ten or as more, hides no fields from the count', () => {
  const BYTES_15 = 0x7a;
  const DAYS = 2;
  const shapes = { TagResource: tagResource, ScheduleKeyDeletion: shapeOf('ScheduleKeyDeletionRequest') };
  /** In so many bytes, however few it needs. */
  const number = (value: number, bytes: number) =>
    Buffer.from(
      Array.from({ length: bytes }, (_, i) => (i < 5 ? (value >>> (7 * i)) & 127 : 0) | (i < bytes - 1 ? 128 : 0)),
    );
  const places: [string, keyof typeof shapes, (bytes: number) => Buffer][] = [
    ['a tag', 'TagResource', (bytes) => Buffer.concat([number(BYTES_15, bytes), Buffer.of(0)])],
    ['a length', 'TagResource', (bytes) => Buffer.concat([Buffer.of(BYTES_15), number(0, bytes)])],
    ['a number', 'ScheduleKeyDeletion', (bytes) => Buffer.concat([Buffer.of(DAYS << 3), number(7, bytes)])],
    ['an unknown number', 'TagResource', (bytes) => Buffer.concat([Buffer.of(0x78), number(7, bytes)])],
  ];

  test.each(places)('%s', (_, name, field) => {
    const KeyId = 'k'.repeat(17_000);
    const rest = inField(KEY_ID, Buffer.from(KeyId));
    for (let bytes = 1; bytes <= 16; bytes++) {
      const message = Buffer.concat([field(bytes), rest]);
      if (bytes > 5 && bytes !== 10) refused(message, shapes[name]);
      else {
        taken(message, shapes[name]);
        expect(Kms.service[name]!.requestDeserialize(message)).toMatchObject({ KeyId });
      }
    }
  });

  test('though what one reads as a field that wraps all others is within it for the other', () => {
    const many = full([0x12, 0], MOST_BYTES - 100);
    // Bytes 7 to 10 of the tag are the length of the field.
    const tag = number(BYTES_15, 6);
    refused(Buffer.concat([tag, number(many.length, 4), many]), tagResource);
    // Bytes 7 to 10 of the length or number are the tag and the length of the next field.
    for (const [, name, field] of places.slice(1, 3)) {
      const message = Buffer.concat([field(6), inField(15, many)]);
      refused(message, shapes[name]);
    }
    // The number ends where the length does, for who reads it to its end.
    const long = Buffer.concat([Buffer.of(0x78), Buffer.alloc(10, 128), Buffer.of(0xfa, 128, 128, 128, 0)]);
    refused(Buffer.concat([long, number(many.length, 4), many]), tagResource);
  });
});

test('a request with as much as is allowed is taken', () => {
  const pairs = Array.from({ length: 8_193 }, (_, i) => [i.toString(36), ''] as const);
  const Policy = ['\n'.repeat(32_768), JSON.stringify(Array(600).fill({ Effect: 'Allow', Action: ['kms:*'] }))];
  const requests: [string, object][] = [
    ['Encrypt', { KeyId: 'k', Plaintext: Buffer.alloc(4_096, 8), EncryptionContext: Object.fromEntries(pairs) }],
    ['CreateGrant', { KeyId: 'k', Constraints: { EncryptionContextSubset: Object.fromEntries(pairs) } }],
    ['Decrypt', { Recipient: { AttestationDocument: Buffer.alloc(262_144, 0x12) }, GrantTokens: Array(10).fill('t') }],
    ['ImportKeyMaterial', { KeyId: 'k'.repeat(17_000), ValidTo: { seconds: 1e9, nanos: 5 } }],
    ...Policy.map((text): [string, object] => ['PutKeyPolicy', { KeyId: 'k', Policy: text }]),
  ];
  for (const [name, request] of requests)
    taken(Kms.service[name]!.requestSerialize(request), shapeOf(`${name}Request`));
});

test('every field of every request has a wire type', () => {
  const without = (shape: Shape): number[] =>
    [...shape].flatMap(([number, field]) => [
      ...(field.wireType === undefined ? [number] : []),
      ...(field.shape ? without(field.shape) : []),
    ]);
  for (const name of Object.keys(Kms.service)) expect(without(shapeOf(`${name}Request`)), name).toEqual([]);
});
