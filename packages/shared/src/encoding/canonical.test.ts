import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { FormatError } from './bytes.ts';
import { bytes, defineFormat } from './canonical.ts';

const sample = defineFormat(
  'keyfleet/sample/1',
  z.strictObject({
    name: z.string(),
    kind: z.enum(['a', 'b']),
    count: z.int(),
    on: z.boolean(),
    body: bytes(),
    note: z.string().optional(),
    list: z.array(z.strictObject({ id: z.string() })),
    map: z.record(z.string(), z.string()),
  }),
);
const value = {
  name: 'é',
  kind: 'b' as const,
  count: 2 ** 40 + 1,
  on: true,
  body: Buffer.from([1, 2, 3]),
  list: [{ id: 'x' }, { id: 'y' }],
  map: { b: '2', a: '1' },
};

describe('canonical encoding', () => {
  test('has its golden bytes', () => {
    expect(sample.encode(value).toString('hex')).toBe(
      '000000116b6579666c6565742f73616d706c652f31' +
        '00000002c3a9' +
        '0000000162' +
        '0000010000000001' +
        '01' +
        '00000003010203' +
        '00' +
        '00000002' +
        '0000000178' +
        '0000000179' +
        '00000002' +
        '00000001610000000131' +
        '00000001620000000132',
    );
  });

  test('decodes what it encoded', () => {
    expect(sample.decode(sample.encode(value))).toEqual(value);
    expect(sample.decode(sample.encode({ ...value, note: '' }))).toEqual({ ...value, note: '' });
  });

  test('every truncation, one byte more and every unknown flag is refused', () => {
    const good = sample.encode(value);
    for (let length = 0; length < good.length; length++) {
      expect(() => sample.decode(good.subarray(0, length))).toThrow(FormatError);
    }
    expect(() => sample.decode(Buffer.concat([good, Buffer.of(0)]))).toThrow(FormatError);
  });

  test('whatever decodes is the encoding of what it decodes to', () => {
    const good = sample.encode(value);
    for (let at = 0; at < good.length; at++) {
      const flipped = Buffer.from(good);
      flipped[at]! ^= 1;
      let decoded;
      try {
        decoded = sample.decode(flipped);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        continue;
      }
      expect(sample.encode(decoded).equals(flipped)).toBe(true);
    }
  });

  test('records that differ only in where a key ends have different bytes', () => {
    const bytesOf = (map: Record<string, string>) => sample.encode({ ...value, map }).toString('hex');
    expect(bytesOf({ ab: 'c' })).not.toBe(bytesOf({ a: 'bc' }));
    expect(bytesOf({ a: '1', b: '2' })).toBe(bytesOf({ b: '2', a: '1' }));
  });

  test('everything that the schema forbids is refused, at any depth', () => {
    const schemas = {
      text: [z.string().max(2), 'abc'],
      choice: [z.enum(['a']), 'abc'],
      integer: [z.int().max(2), 3],
      sized: [bytes({ max: 2 }), Buffer.alloc(3)],
      key: [z.record(z.string().max(2), z.string()), { abc: '' }],
      refined: [z.string().refine((text) => text !== 'abc'), 'abc'],
    } as const;
    for (const [schema, forbidden] of Object.values(schemas)) {
      const nested = z.strictObject({
        list: z.array(z.strictObject({ map: z.record(z.string(), schema.optional()) })),
      });
      const wanted = defineFormat('keyfleet/nested/1', nested);
      const encoded = wanted.encode({ list: [{ map: { name: forbidden } }] } as z.output<typeof nested>);
      expect(() => wanted.decode(encoded)).toThrow(FormatError);
    }
  });

  test('no key of a record is special', () => {
    const map = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
    const decoded = sample.decode(sample.encode({ ...value, map })).map;
    expect(Object.entries(decoded)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  test('text that is not well-formed Unicode has no encoding', () => {
    expect(() => sample.encode({ ...value, name: '\ud800' })).toThrow(FormatError);
  });
});
