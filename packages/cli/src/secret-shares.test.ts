import { expect, test } from 'vitest';
import { combineSecret, newSecret, splitSecret } from './secret-shares.ts';

test('any three of five shares give the secret back, and two are not enough', async () => {
  const secret = newSecret();
  const [a, b, c, d, e] = (await splitSecret(secret, 'safe-1', { n: 5, k: 3 })) as [
    string,
    string,
    string,
    string,
    string,
  ];
  for (const three of [
    [a, b, c],
    [e, c, a],
    [b, d, e],
    [a, b, c, d, e],
  ]) {
    expect(await combineSecret(three)).toBe(secret);
  }
  await expect(combineSecret([a, b])).rejects.toThrow('3 different shares are needed, and 2 are here');
  await expect(combineSecret([a, b, b])).rejects.toThrow('3 different shares are needed, and 2 are here');
});

test('a share that was mistyped is named, and shares of two sets are not mixed', async () => {
  const [a, b] = (await splitSecret(newSecret(), 'safe-1', { n: 2, k: 2 })) as [string, string];
  const mistyped = b.replace(/.(?=:[0-9a-f]{8}$)/, (letter) => (letter === 'A' ? 'B' : 'A'));
  await expect(combineSecret([a, mistyped])).rejects.toThrow('share 2 is damaged');
  await expect(combineSecret([a, 'correct horse'])).rejects.toThrow('share 2 is damaged');
  const [other] = (await splitSecret(newSecret(), 'safe-2', { n: 2, k: 2 })) as [string, string];
  await expect(combineSecret([a, other])).rejects.toThrow('not of one set');
});

test.each([
  [1, 1],
  [3, 1],
  [2, 3],
  [256, 2],
  [NaN, 2],
])('%d shares of which %d are needed is not a way to split', async (n, k) => {
  await expect(splitSecret(newSecret(), 'safe-1', { n, k })).rejects.toThrow('--threshold must be from 2');
});
