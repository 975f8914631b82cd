import { beforeEach, expect, test } from 'vitest';
import { SharedReads } from './shared-reads.ts';

let trust: { trusted: boolean; epoch: number; isLastKnown: () => boolean };
let reads: SharedReads<number>;
let count: number;
beforeEach(() => {
  trust = { trusted: true, epoch: 1, isLastKnown: () => true };
  reads = new SharedReads(trust);
  count = 0;
});

const read = (name = 'a') => reads.read(name, async () => ++count);

test('who asks for the same meanwhile shares a read, and who comes later begins another', async () => {
  expect(await Promise.all([read(), read(), read('b')])).toEqual([1, 1, 2]);
  expect(await read()).toBe(3);
});

test('a read that fails fails for all who share it, and for nobody later', async () => {
  const failing = () => reads.read('a', () => Promise.reject(new Error('away')));
  const [one, other] = await Promise.allSettled([failing(), read()]);
  expect([one.status, other.status]).toEqual(['rejected', 'rejected']);
  expect(await read()).toBe(1);
});

test.each([
  ['a change of it was heard', () => reads.forget('a')],
  ['all is forgotten', () => reads.forgetAll()],
  ['changes may have been missed', () => void (trust.epoch += 1)],
  ['changes are not heard', () => void (trust.trusted = false)],
])('nobody shares what began before %s', async (_, happen) => {
  const before = read();
  happen();
  const after = read();
  expect(await before).toBe(1);
  expect(await after).toBe(2);
});

test('a read that was forgotten ends without the one that took its place', async () => {
  const held = Promise.withResolvers<number>();
  const first = reads.read('a', () => held.promise);
  reads.forget('a');
  const later = Promise.withResolvers<number>();
  const second = reads.read('a', () => later.promise);
  held.resolve(7);
  await first;
  const third = read();
  later.resolve(8);
  expect(await Promise.all([second, third])).toEqual([8, 8]);
});
