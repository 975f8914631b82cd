import { expect, test } from 'vitest';
import { combineSecret, newSecret, splitIdOf, splitSecret } from './secret-shares.ts';

const splitId = splitIdOf(Buffer.alloc(32));

test('any three of five shares give the secret back, and two are not enough', async () => {
  const secret = newSecret();
  const [a, b, c, d, e] = (await splitSecret(secret, { owner: 'safe-1', splitId, n: 5, k: 3 })) as [
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
    expect(await combineSecret(three, splitId)).toBe(secret);
  }
  await expect(combineSecret([a, b], splitId)).rejects.toThrow('3 different shares are needed; 2 were given');
  await expect(combineSecret([a, b, b], splitId)).rejects.toThrow('3 different shares are needed; 2 were given');
});

test('a share that was mistyped is named, and shares of two sets are not mixed', async () => {
  const two = { n: 2, k: 2 };
  const [a, b] = (await splitSecret(newSecret(), { owner: 'safe-1', splitId, ...two })) as [string, string];
  const mistyped = b.replace(/.(?=:[0-9a-f]{8}$)/, (letter) => (letter === 'A' ? 'B' : 'A'));
  await expect(combineSecret([a, mistyped], splitId)).rejects.toThrow('share 2 is damaged');
  await expect(combineSecret([a, 'correct horse'], splitId)).rejects.toThrow('share 2 is damaged');
  const [other] = (await splitSecret(newSecret(), { owner: 'safe-2', splitId, ...two })) as [string, string];
  await expect(combineSecret([a, other], splitId)).rejects.toThrow('do not belong together');
});

test("shares of two splits of one member do not combine, and a full set is recognized as another file's", async () => {
  const [of, again] = [splitIdOf(Buffer.alloc(32, 1)), splitIdOf(Buffer.alloc(32, 2))];
  const split = (id: string) => splitSecret(newSecret(), { owner: 'safe-1', splitId: id, n: 2, k: 2 });
  const [[a, b], [, other]] = (await Promise.all([split(of), split(again)])) as [[string, string], [string, string]];
  await expect(combineSecret([a, other], of)).rejects.toThrow('do not belong together');
  await expect(combineSecret([a, b], again)).rejects.toThrow('to another file');
});

test('shares that were printed before they named their split are still read, but not together with newer ones', async () => {
  const printed = [
    'keyfleet-share:safe-1:2:7xCRdvSGd1dRLNbCF_SWTcF_z8K7xHWbBEkIfAB1XoSH:8e17febd',
    'keyfleet-share:safe-1:2:gMRkXE_w1W5q6RiJ8bNqJks15ZexexcLWpJK8egbQw_r:15e4f9f6',
  ];
  expect(await combineSecret(printed, splitId)).toBe('-38tk48XiXCUY6-raef-hjhnKmL8YGp0ks-1yeYQBAw');
  const [newer] = (await splitSecret(newSecret(), { owner: 'safe-1', splitId, n: 2, k: 2 })) as [string];
  await expect(combineSecret([printed[0]!, newer], splitId)).rejects.toThrow('do not belong together');
});

test.each([
  [1, 1],
  [3, 1],
  [2, 3],
  [256, 2],
  [NaN, 2],
])('%d shares of which %d are needed is not a way to split', async (n, k) => {
  await expect(splitSecret(newSecret(), { owner: 'safe-1', splitId, n, k })).rejects.toThrow(
    '--threshold must be from 2',
  );
});
