import { expect, test } from 'vitest';
import { ConditionKeys } from './condition-keys.ts';
import { undecidable } from './conditions/context.ts';

interface Facts {
  readonly names: readonly string[];
  readonly pairs: readonly (readonly [string, string])[];
}

const asked: string[] = [];
const keys = new ConditionKeys<Facts>([
  { name: 'k:Names', type: 'string', multivalued: true, value: ({ names }) => (asked.push('names'), names) },
  { name: 'k:Pair:', type: 'string', pairs: ({ pairs }) => (asked.push('pairs'), pairs) },
  { name: 'k:Never', type: 'string' },
]);

test('a request works out each value once, however often policies ask for it', () => {
  const context = keys.contextOf({ names: [], pairs: [['A', '1']] });
  for (let i = 0; i < 3; i++) {
    expect(['k:names', 'k:pair:a', 'k:pair:b', 'k:never', 'k:other'].map((name) => context.find(name))).toEqual([
      undefined,
      '1',
      undefined,
      undefined,
      undefined,
    ]);
  }
  expect(asked).toEqual(['names', 'pairs']);
});

test('two values whose names differ only in case are undecidable, unless they are one value', () => {
  const pairs = [
    ['Same', 'x'],
    ['same', 'x'],
    ['Other', 'x'],
    ['other', 'y'],
    ['OTHER', 'x'],
  ] as const;
  const context = keys.contextOf({ names: [], pairs });
  expect(context.find('k:pair:same')).toBe('x');
  expect(context.find('k:pair:other')).toBe(undecidable);
});
