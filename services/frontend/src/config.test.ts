import { expect, test } from 'vitest';
import { FrontendConfig } from './config.ts';

test('the age of a connection is one that a timer can keep', () => {
  const { maxConnectionAge } = FrontendConfig.shape;
  for (const text of ['0s', '999ms', '8d', '365d'])
    expect(maxConnectionAge.safeParse(text).error?.issues[0]?.message, text).toBe('must be from "1s" to "7d"');
  for (const text of ['1s', '5m', '7d']) expect(maxConnectionAge.safeParse(text).success, text).toBe(true);
  expect(maxConnectionAge.parse(undefined)).toBe(300_000);
});
