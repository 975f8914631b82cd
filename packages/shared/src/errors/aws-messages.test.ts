import { expect, test } from 'vitest';
import { constraints, validationException, violation } from './aws-messages.ts';

test('a wrong value is said back, but not a megabyte of it, and not once for each constraint', () => {
  const said = (value: string) => violation(value, 'userName', constraints.longest(64));
  expect(said('bob')).toBe(
    "Value 'bob' at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64",
  );
  const long = said('"'.repeat(1_000_000));
  expect(long).toMatch(/^Value '"{8192}' at 'userName' failed/);
  expect(validationException(Array.from({ length: 100 }, () => long)).message).toHaveLength(65_536);
});

test.each([
  ['in the value', 'a'.repeat(8_191)],
  ['at the end of all', 'a'.repeat(4)],
])('no cut leaves half a character %s: it would have no UTF-8 form', (_, start) => {
  const text = `${start}${'😀'.repeat(10_000)}`;
  const { message } = validationException(Array.from({ length: 20 }, () => violation(text, 'userName', 'longer')));
  expect(message).toHaveLength(65_536);
  expect(message.isWellFormed()).toBe(true);
});
