import { expect, test } from 'vitest';
import { BoundedCache } from './bounded-cache.ts';

function namesIn(cache: Pick<BoundedCache<unknown>, 'peek'>, names: string): string {
  return names
    .split('')
    .filter((name) => cache.peek(name) !== undefined)
    .join('');
}

test('an entry that was not used since the hand last passed goes first', () => {
  const cache = new BoundedCache<number>({ maxWeight: 3 });
  for (const name of 'abc') cache.set(name, 1);
  cache.get('a');
  cache.set('d', 1);
  expect(namesIn(cache, 'abcd')).toBe('acd');
  cache.set('e', 1);
  expect(namesIn(cache, 'abcde')).toBe('ade');
});

test('a flood of names that are used once evicts none that is in use', () => {
  const cache = new BoundedCache<number>({ maxWeight: 10 });
  for (const name of 'abcde') cache.set(name, 1);
  for (let i = 0; i < 1_000; i++) {
    for (const name of 'abcde') cache.get(name);
    cache.set(`flood/${i}`, 1);
  }
  expect(namesIn(cache, 'abcde')).toBe('abcde');
  expect(cache.peek('flood/999')).toBe(1);
});

test('the weight of what is kept stays within the bound, whatever is set, replaced and deleted', () => {
  const kept = new Map<string, string>();
  const cache = new BoundedCache<string>({
    maxWeight: 100,
    weightOf: (value) => value.length,
    onRemoved: (value, name) => {
      if (kept.get(name) === value) kept.delete(name);
    },
  });
  for (let i = 0; i < 5_000; i++) {
    const name = String((i * 7) % 43);
    const value = String(i).padEnd((i * 13) % 40, '.');
    if (i % 5 === 0) cache.delete(name);
    else if (cache.set(name, value)) kept.set(name, value);
    if (i % 3 === 0) cache.get(String(i % 43));
    const weight = [...kept.values()].reduce((sum, one) => sum + one.length, 0);
    expect(weight).toBeLessThanOrEqual(100);
    for (const [one, text] of kept) expect(cache.peek(one)).toBe(text);
  }
  expect(kept.size).toBeGreaterThan(2);
});

test('a value that exceeds the bound by itself is not kept, evicts nothing, and removes the old value of its name', () => {
  const cache = new BoundedCache<string>({ maxWeight: 3, weightOf: (value) => value.length });
  cache.set('a', 'x');
  cache.set('b', 'y');
  expect(cache.set('c', 'four')).toBe(false);
  expect(namesIn(cache, 'abc')).toBe('ab');
  expect(cache.set('a', 'four')).toBe(false);
  expect(namesIn(cache, 'abc')).toBe('b');
});

test('cleared entries take no room', () => {
  const cache = new BoundedCache<number>({ maxWeight: 2 });
  for (const name of 'ab') cache.set(name, 1);
  cache.clear();
  for (const name of 'cd') cache.set(name, 1);
  expect(namesIn(cache, 'abcd')).toBe('cd');
});
