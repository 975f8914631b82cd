import { expect, test } from 'vitest';
import { globOf, type GlobPart, matchesGlob, onlyMatchOf, prefixOf } from './glob.ts';
import { MeteredContext } from './context.ts';

const empty = { find: () => undefined };

function compiled(pattern: string) {
  return globOf(Array.from(pattern, (c): GlobPart => (c === '*' || c === '?' ? { wildcard: c } : { text: c })));
}

/** Whether it matches, and in how many steps. */
function match(pattern: string, text: string): { readonly matches: boolean; readonly steps: number } {
  const meter = new MeteredContext(empty, Infinity);
  return { matches: matchesGlob(compiled(pattern), text, meter), steps: meter.spent };
}

/** By the definition: every way to share out the text among the wildcards. */
function byDefinition(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  const rest = pattern.slice(1);
  if (pattern[0] === '*') {
    return Array.from({ length: text.length + 1 }, (_, i) => text.slice(i)).some((end) => byDefinition(rest, end));
  }
  return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && byDefinition(rest, text.slice(1));
}

/** Every text of up to `length` of the letters. */
function allTexts(letters: string, length: number): string[] {
  let texts = [''];
  const all = [''];
  for (let i = 0; i < length; i++) {
    texts = texts.flatMap((text) => Array.from(letters, (letter) => text + letter));
    all.push(...texts);
  }
  return all;
}

test('every short pattern matches what the definition says', () => {
  const texts = allTexts('ab', 5);
  for (const pattern of allTexts('ab*?', 5)) {
    const found = texts.filter((text) => match(pattern, text).matches);
    expect({ pattern, found }).toEqual({ pattern, found: texts.filter((text) => byDefinition(pattern, text)) });
  }
});

test('a pattern says which text alone it matches, or which beginning is enough', () => {
  const patterns = ['', 'ab', 'ab*', '*', '**', 'a?', 'a?*', 'a*b', '*a'];
  expect(patterns.map((pattern) => [onlyMatchOf(compiled(pattern)), prefixOf(compiled(pattern))])).toEqual([
    ['', undefined],
    ['ab', undefined],
    [undefined, 'ab'],
    [undefined, ''],
    [undefined, ''],
    ...Array.from({ length: 4 }, () => [undefined, undefined]),
  ]);
});

const a = (count: number) => 'a'.repeat(count);

test.each<[string, pattern: string, text: string]>([
  ['many stars and no match', `${'*a'.repeat(4_000)}*b`, a(8_000)],
  ['many stars, and each piece nearly everywhere', '*aaaaaaab'.repeat(800), a(8_000)],
  ['a long piece that nearly fits everywhere', `*${a(4_000)}b*`, a(8_000)],
  ['a long piece that differs at its beginning', `*b${a(4_000)}*`, a(8_000)],
  ['a piece that repeats itself', `*${'ab'.repeat(2_000)}b*`, 'ab'.repeat(4_000)],
  ['stars only', '*'.repeat(8_000), a(8_000)],
  ['a long end', `*${a(7_999)}`, `${a(4_000)}b${a(3_999)}`],
  ['Fibonacci words', `*${fibonacci(16)}c*`, fibonacci(20)],
])('matching takes steps in proportion to pattern and text together: %s', (_, pattern, text) => {
  const { steps } = match(pattern, text);
  expect(steps).toBeLessThanOrEqual(3 * (pattern.length + text.length));
});

test('a place for any one character costs at most its piece in each place of the text', () => {
  const { matches, steps } = match(`*?${a(100)}b*`, a(1_000));
  expect(matches).toBe(false);
  expect(steps).toBeLessThanOrEqual(103 * 1_000);
});

test('a match that takes too many steps is given up', () => {
  const meter = new MeteredContext(empty, 50_000);
  expect(() => matchesGlob(compiled(`*?${a(100)}b*`), a(1_000), meter)).toThrow('too many steps');
});

/** Texts that ask most of a search which falls back on what it has read. */
function fibonacci(n: number): string {
  let [last, word] = ['b', 'a'];
  for (let i = 0; i < n; i++) [last, word] = [word, word + last];
  return word;
}
