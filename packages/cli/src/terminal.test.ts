import { expect, test } from 'vitest';
import { visible } from './terminal.ts';

test('control characters of services reach no terminal, and JSON stays JSON', () => {
  expect(visible('a\n\tb: \x1b[2J\x9b1A\rall is well')).toBe('a\n\tb: \\u001b[2J\\u009b1A\\u000dall is well');
  expect(visible('a\u202Eb\u2066c\u2028d é')).toBe('a\\u202eb\\u2066c\\u2028d é');
  const told = { problem: '\x9b2J \x7f\u202E' };
  expect(JSON.parse(visible(JSON.stringify(told)))).toEqual(told);
});
