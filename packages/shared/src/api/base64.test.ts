import fc from 'fast-check';
import { expect, test } from 'vitest';
import { base64Length, readBase64, writeBase64 } from './base64.ts';

/** Node's, with the check that there is one text per value. */
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

test('whatever is no text of exactly one value is refused', () => {
  const digit = fc.constantFrom(...'ABCDwxyz0189+/=-_ \n\u00ff'.split(''));
  fc.assert(
    fc.property(fc.string({ unit: digit, maxLength: 12 }), (text) => {
      expect(read(text)).toEqual(nodes(text));
    }),
    { numRuns: 20_000 },
  );
});
