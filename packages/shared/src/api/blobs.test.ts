import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KmsException } from '../errors/exceptions.ts';
import { requestCodec } from './aws-json.ts';
import { base64Length, liftBlobs, readBase64, writeBase64 } from './blobs.ts';
import type { Operation } from './operation.ts';
import { readJson } from './read-json.ts';
import { operations } from './registry.ts';

/** Node's reader, plus the check that each value has one text. */
function nodes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function read(text: string): Buffer | undefined {
  const framed = Buffer.from(`"${text}"`, 'latin1');
  return readBase64(framed, 1, framed.length - 1);
}

test('bytes of any length are written as Node writes them, and nothing beside them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const into = Buffer.alloc(base64Length(bytes) + 2, '#');
      expect(writeBase64(bytes, into, 1)).toBe(into.length - 1);
      expect(into.toString('latin1')).toBe(`#${Buffer.from(bytes).toString('base64')}#`);
      expect(read(into.toString('latin1', 1, into.length - 1))).toEqual(Buffer.from(bytes));
    }),
  );
});

test('text that is not exactly one value is refused', () => {
  const digit = fc.constantFrom(...'ABCDwxyz0189+/=-_ \n\u00ff'.split(''));
  fc.assert(
    fc.property(fc.string({ unit: digit, maxLength: 12 }), (text) => {
      expect(read(text)).toEqual(nodes(text));
    }),
    { numRuns: 20_000 },
  );
});

const names = ['Plaintext', 'Message'].map((text) => Buffer.from(text));

/** JSON made of what the scan looks for, then cut, doubled and shuffled, so that much of it is invalid. */
const name = fc.constantFrom('Plaintext', 'Message', 'KeyId', 'EncryptionContext', 'x', 'Plain\\u0074ext', '');
const space = fc.constantFrom('', '', '', ' ', '\t\r\n');
const text = fc.constantFrom(
  '"AA=="',
  '"aGVsbG8="',
  '"+/+/"',
  '"\\/w=="',
  '"\\\\/w=="',
  '""',
  '"A"',
  '"é☃"',
  '":"',
  '"{["',
);
const scalar = fc.oneof(text, text, fc.constantFrom('null', 'true', '1.0', '-0', '1e400', '"a":"AA=="'));
const { value } = fc.letrec<{ value: string; object: string; list: string }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, scalar, tie('object'), tie('list')),
  list: fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
  object: fc
    .array(fc.tuple(name, space, tie('value'), space), { maxLength: 5 })
    .map(
      (members) =>
        `{${members.map(([key, before, of, after]) => `${before}"${key}"${before}:${after}${of}${after}`).join(',')}}`,
    ),
}));
const blob = fc.uint8Array({ maxLength: 9 }).map((bytes) => `"${Buffer.from(bytes).toString('base64')}"`);
const member = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('Plaintext', 'Message', 'KeyId'), space, blob) },
  { weight: 1, arbitrary: fc.tuple(name, space, value) },
);
const members = fc
  .array(member, { maxLength: 6 })
  .map((all) => `{${all.map(([key, gap, of]) => `"${key}"${gap}:${gap}${of}`).join(',')}}`);
const added = fc.constantFrom('', '"', '\\', '\\/', '{', ']', ':', ',', '\0', 'A');
const damaged = fc.tuple(members, fc.nat(), fc.nat(3), added).map(([json, where, removed, more]) => {
  const at = where % (json.length + 1);
  return json.slice(0, at) + more + json.slice(at + removed);
});
const body = fc.oneof(
  { weight: 4, arbitrary: members },
  { weight: 2, arbitrary: damaged },
  { weight: 1, arbitrary: value },
);

/** undefined if it is not JSON. */
function parsed(json: string): unknown {
  try {
    return readJson(json);
  } catch {
    return undefined;
  }
}

test('a body without its blobs is JSON exactly if the body was, and is the same with its blobs put back', () => {
  let lifted = 0;
  fc.assert(
    fc.property(body, (json) => {
      const found = liftBlobs(Buffer.from(json), names);
      if (found === undefined) return;
      const left = parsed(found.text) as Record<string, unknown> | undefined;
      for (const [member, bytes] of found.blobs) {
        if (left !== undefined && typeof left[member] === 'string') left[member] = bytes.toString('base64');
        lifted++;
      }
      expect(left).toEqual(parsed(json));
    }),
    { numRuns: 20_000 },
  );
  expect(lifted).toBeGreaterThan(5_000);
});

test('every base64 string that is a member of the object itself is taken out, "/" escaped or not, and no other', () => {
  const json =
    '{"Plaintext" : "aGVsbG8=","KeyId":"AA==","Message":"\\/w==","Context":{"Plaintext":"AA=="},"List":["Plaintext","AA=="]}';
  expect(liftBlobs(Buffer.from(json), names)).toEqual({
    text: '{"Plaintext" : "","KeyId":"AA==","Message":"","Context":{"Plaintext":"AA=="},"List":["Plaintext","AA=="]}',
    blobs: new Map([
      ['Plaintext', Buffer.from('hello')],
      ['Message', Buffer.from([0xff])],
    ]),
  });
});

/** The parsed request, or its error. */
function outcome(operation: Operation, json: string): unknown {
  try {
    return requestCodec(operation).parse(Buffer.from(json));
  } catch (error) {
    if (error instanceof KmsException) return `${error.code}: ${error.message}`;
    throw error;
  }
}

test.each([operations.Encrypt, operations.Sign])(
  'a body of $name means what it means to the reader of strings, which reads it once something else is escaped in it',
  (operation: Operation) => {
    fc.assert(
      fc.property(body, (json) => {
        if (!json.startsWith('{"') || parsed(json) === undefined) return;
        // No member has this name.
        const escaped = json.replace('{', '{"\\u0078":0,');
        expect(outcome(operation, json)).toEqual(outcome(operation, escaped));
      }),
      { numRuns: 5_000 },
    );
  },
);
