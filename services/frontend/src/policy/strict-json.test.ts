import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NotStrictJsonError, parseStrictJson } from './strict-json.ts';

/** A JSON text as a tree. An object is a list of pairs, so that it can repeat a name. */
type Tree = string | number | boolean | null | { list: Tree[] } | { pairs: [string, Tree][] };

const name = fc.oneof(
  fc.constantFrom('Effect', 'Effect', 'effect', 'Statement', 'a', '__proto__', 'constructor', '', ':', '{', '"', '\\'),
  fc.string({ maxLength: 3 }),
);
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    fc.oneof(name, fc.integer(), fc.boolean(), fc.constant(null)),
    fc.array(tie('tree'), { maxLength: 3 }).map((list) => ({ list })),
    fc.array(fc.tuple(name, tie('tree')), { maxLength: 4 }).map((pairs) => ({ pairs })),
  ),
}));

/** Any spelling of a text means that text. */
const spelling = fc.array(fc.boolean(), { minLength: 1, maxLength: 7 });

function written(value: Tree, escapes: readonly boolean[], space: string): string {
  const text = (each: string) =>
    `"${Array.from(each, (character, i) => (escapes[i % escapes.length]! ? escaped(character) : plain(character))).join('')}"`;
  const write = (each: Tree): string => {
    if (typeof each === 'string') return text(each);
    if (each === null || typeof each !== 'object') return String(each);
    if ('list' in each) return `[${space}${each.list.map(write).join(`,${space}`)}]`;
    return `{${each.pairs.map(([key, member]) => `${JSON.stringify(key)}${space}:${space}${write(member)}`).join(',')}${space}}`;
  };
  return space + write(value) + space;
}

function plain(character: string): string {
  return JSON.stringify(character).slice(1, -1);
}

function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** Whether the text has one meaning, judged by the tree and not by any parser. */
function hasOneMeaning(value: Tree, depth = 0): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (depth === 8) return false;
  if ('list' in value) return value.list.every((item) => hasOneMeaning(item, depth + 1));
  const names = value.pairs.map(([key]) => key);
  return (
    new Set(names).size === names.length &&
    !names.some((each) => each === '__proto__' || JSON.stringify(each).includes('\\')) &&
    value.pairs.every(([, member]) => hasOneMeaning(member, depth + 1))
  );
}

function meaningOf(value: Tree): unknown {
  if (value === null || typeof value !== 'object') return value;
  if ('list' in value) return value.list.map(meaningOf);
  return Object.fromEntries(value.pairs.map(([key, member]) => [key, meaningOf(member)]));
}

function accepted(text: string): { value: unknown } | undefined {
  try {
    return { value: parseStrictJson(text) };
  } catch (error) {
    expect(error).toBeInstanceOf(NotStrictJsonError);
    return undefined;
  }
}

test('a document is accepted exactly when it has one meaning, and then means that', () => {
  fc.assert(
    fc.property(tree, spelling, fc.constantFrom('', ' ', '\n\t'), (value, escapes, space) => {
      const found = accepted(written(value, escapes, space));
      expect(found !== undefined).toBe(hasOneMeaning(value));
      if (found) expect(found.value).toEqual(meaningOf(value));
    }),
    { numRuns: 5_000 },
  );
});

test('no text that JSON.parse refuses, or loses something of, is accepted', () => {
  const broken = fc
    .tuple(tree, spelling, fc.nat(), fc.constantFrom('', '"', '{', '}', ',', ':', '[', ' 1', '\\', '//', '\u0000'))
    .map(([value, escapes, at, junk]) => {
      const text = written(value, escapes, '');
      const place = at % (text.length + 1);
      return text.slice(0, place) + junk + text.slice(place + (at % 3));
    });
  fc.assert(
    fc.property(broken, (text) => {
      const found = accepted(text);
      if (!found) return;
      expect(found.value).toEqual(JSON.parse(text));
      // Nothing was lost: there are as many names and values as in the text.
      const strings = text.match(/"[^"\\]*(?:\\.[^"\\]*)*"/gs) ?? [];
      expect((JSON.stringify(found.value).match(/"[^"\\]*(?:\\.[^"\\]*)*"/gs) ?? []).length).toBe(strings.length);
    }),
    { numRuns: 5_000 },
  );
});

test.each([
  ['a name twice', '{"Effect":"Deny","Effect":"Allow"}'],
  ['a name twice, once escaped', '{"Effect":"Deny","\\u0045ffect":"Allow"}'],
  ['a name twice in a list', '[{"a":1,"a":1}]'],
  ['a name with an escape', '{"\\u0045ffect":"Deny"}'],
  ['__proto__', '{"__proto__":{}}'],
  ['__proto__, escaped', '{"a":{"\\u005f_proto__":{}}}'],
  ['half a character', '["\\ud800"]'],
  ['nested too deep', `${'['.repeat(9)}${']'.repeat(9)}`],
  ['nested a hundred thousand deep', '['.repeat(100_000) + ']'.repeat(100_000)],
  ['something after it', '{} {}'],
  ['a comment', '{/**/}'],
  ['a comma too many', '[1,]'],
  ['a byte order mark', '\ufeff{}'],
  ['nothing', ''],
])('a document with %s is refused', (_, text) => {
  expect(accepted(text)).toBeUndefined();
});

test.each(['{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}', '{"a":"b\\"","b":"a"}', ' "a:{" ', '{"":{}}'])(
  '%s is accepted',
  (text) => expect(accepted(text)).toEqual({ value: JSON.parse(text) }),
);
