import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LITERALS, type JsonObject, readJson } from './read-json.ts';

function outcome(read: (text: string) => unknown, text: string): unknown {
  try {
    return { value: JSON.stringify(read(text)) };
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    return 'refused';
  }
}

/** Without escapes, JSON.parse is right. */
const plain = fc.json({ maxDepth: 5 }).filter((text) => !text.includes('\\'));

test('a text without escapes is read as JSON.parse reads it, broken or whole', () => {
  const broken = fc
    .tuple(
      plain,
      fc.nat(),
      fc.constantFrom('', '"', '{', '}', ',', ':', '[', '1', '-', '.', 'e5', ' ', '\n', '\u00a0', 'n'),
    )
    .map(([text, at, junk]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + junk + text.slice(place + (at % 3));
    });
  fc.assert(
    fc.property(fc.oneof(plain, broken), (text) => {
      expect(outcome(readJson, text)).toEqual(outcome(JSON.parse, text));
    }),
    { numRuns: 5_000 },
  );
});

const name = fc.string({ unit: fc.constantFrom('\\', '"', 'a', 'b', '\n', 'é', '\u0000', '__proto__'), maxLength: 4 });
const spellings = [
  (text: string) => JSON.stringify(text),
  (text: string) =>
    `"${text
      .split('')
      .map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join('')}"`,
];

test('a name is what its escapes stand for, whatever was read before', () => {
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 20 }), fc.constantFrom(...spellings), (names, spell) => {
      for (const each of names) {
        const object = readJson(`{"first":{"a":1,${spell(each)}:"x"}}`) as { first: object };
        expect(Object.keys(object.first)).toEqual(each === 'a' ? ['a'] : ['a', each]);
      }
    }),
    { numRuns: 500 },
  );
});

test('numbers keep their text', () => {
  const object = readJson('{"a":-0.10e+2,"b":"1","__proto__":[12345678901234567890],"c":1,"c":2.0}') as JsonObject;
  expect(object['a']).toBe(-10);
  expect({ ...object[LITERALS] }).toEqual({ a: '-0.10e+2', c: '2.0' });
  expect(Object.keys(object)).toEqual(['a', 'b', '__proto__', 'c']);
});

test.each(['{"a\\x":1}', '"\\u12"', '"a\tb"', '01', '1.', '.5', '+1', '[1 2]', '{"a"}', '{a:1}', "{'a':1}", 'nul', ''])(
  '%j is no JSON',
  (text) => expect(outcome(readJson, text)).toBe('refused'),
);

test('input that is nested too deeply is refused, and takes no time', () => {
  expect(outcome(readJson, '['.repeat(500_000))).toBe('refused');
  expect(readJson(`${'['.repeat(60)}${']'.repeat(60)}`)).toBeInstanceOf(Array);
});

test('a long text of escapes is read in one go', () => {
  const text = '\\"\\u00e9'.repeat(60_000);
  expect(readJson(`{"a":"${text}"}`)).toEqual({ a: '"é'.repeat(60_000) });
});
