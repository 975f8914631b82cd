import { expect, test } from 'vitest';
import { SayOnce } from './say-once.ts';

test('the same trouble with the same thing is new once, and again after it was over', () => {
  const said = new SayOnce();
  expect(said.isNew('a', new Error('away'))).toBe(true);
  expect(said.isNew('a', new Error('away'))).toBe(false);
  expect(said.isNew('b', new Error('away'))).toBe(true);
  expect(said.isNew('a', new Error('full'))).toBe(true);
  expect(said.isNew('a', new Error('away'))).toBe(true);
  said.over('a');
  expect(said.isNew('a', new Error('away'))).toBe(true);
  expect(said.isNew('b', new Error('away'))).toBe(false);
});
