import { expect, test } from 'vitest';
import { chained, pageOfAll } from './pages.ts';

const letters = (text: string) => pageOfAll(text.split(''), (letter) => letter);
const list = chained<string>({ none: letters(''), first: letters('abc'), second: letters('a'), third: letters('de') });

test.each([1, 2, 3, 4, 9])('lists that are chained are one list, in pages of %i', async (limit) => {
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const page = await list(limit, after);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    seen.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  expect(seen.join('')).toBe('abcade');
});

test('a list that ends a page early ends the page of the chain', async () => {
  const early = chained<string>({ one: async () => ({ items: ['a'], next: 'a' }), two: letters('b') });
  expect(await early(9, undefined)).toEqual({ items: ['a'], next: 'one/a' });
});
