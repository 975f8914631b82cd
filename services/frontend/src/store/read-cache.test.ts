import { beforeEach, expect, test } from 'vitest';
import { ReadCache } from './read-cache.ts';

let trust: { trusted: boolean; epoch: number; isLastKnown: (epoch: number) => boolean };
let inTime: boolean;
let cache: ReadCache<string>;
let stored: string | undefined;
let reads: number;

beforeEach(() => {
  inTime = true;
  trust = { trusted: true, epoch: 1, isLastKnown: (epoch) => epoch === 1 && inTime };
  cache = new ReadCache({ trust, weightOf: (value) => value.length, maxWeight: 10 });
  stored = 'one';
  reads = 0;
});

function load(): Promise<string | undefined> {
  reads++;
  return Promise.resolve(stored);
}

test('a value is read once', async () => {
  expect(await cache.get('a', load)).toBe('one');
  expect(await cache.get('a', load)).toBe('one');
  expect(reads).toBe(1);
});

test('an invalidated value is read again', async () => {
  await cache.get('a', load);
  stored = 'two';
  cache.invalidate('a');
  expect(await cache.get('a', load)).toBe('two');
});

test('a read that raced with an invalidation is not kept', async () => {
  const slow = Promise.withResolvers<string>();
  const reading = cache.get('a', () => slow.promise);
  cache.invalidate('a');
  stored = 'two';
  slow.resolve('one');
  expect(await reading).toBe('one');
  expect(await cache.get('a', load)).toBe('two');
});

test('a read that began before an invalidation does not replace one that began after', async () => {
  const slow = Promise.withResolvers<string>();
  const reading = cache.get('a', () => slow.promise);
  cache.invalidate('a');
  stored = 'two';
  expect(await cache.get('a', load)).toBe('two');
  slow.resolve('one');
  await reading;
  expect(await cache.get('a', load)).toBe('two');
  expect(reads).toBe(1);
});

test('a value is kept though reads overlap without a gap', async () => {
  const slow = [1, 2, 3].map(() => Promise.withResolvers<string>());
  const readings = slow.map(async ({ promise }) => cache.get('a', () => promise));
  for (const one of slow.slice(0, 2)) {
    one.resolve('one');
    await one.promise;
    expect(cache.get('a', load)).toBe('one');
  }
  slow[2]!.reject(new Error('down'));
  await Promise.allSettled(readings);
  expect(cache.get('a', load)).toBe('one');
  expect(reads).toBe(0);
});

test('of reads that overlap and raced with an invalidation, none is kept', async () => {
  const slow = [1, 2].map(() => Promise.withResolvers<string>());
  const before = slow.map(async ({ promise }) => cache.get('a', () => promise));
  cache.invalidate('a');
  stored = 'two';
  expect(await cache.get('a', load)).toBe('two');
  for (const one of slow) one.resolve('one');
  await Promise.all(before);
  expect(cache.get('a', load)).toBe('two');
  expect(reads).toBe(1);
});

test('a read that fails or finds nothing takes nothing from one that goes on', async () => {
  for (const outcome of [Promise.reject(new Error('down')), Promise.resolve(undefined)]) {
    const slow = Promise.withResolvers<string>();
    const reading = cache.get('a', () => slow.promise);
    await Promise.resolve(cache.get('a', () => outcome)).catch(() => undefined);
    slow.resolve('one');
    await reading;
    expect(cache.get('a', load)).toBe('one');
    cache.invalidate('a');
  }
});

test('the last known record is told for as long as it may be, and is not believed once changes are heard again', async () => {
  await cache.get('a', load);
  trust.trusted = false;
  trust.epoch = 2;
  expect(cache.lastKnown('a')).toBe('one');
  expect(cache.lastKnown('b')).toBeUndefined();
  inTime = false;
  expect(cache.lastKnown('a')).toBeUndefined();
  trust.trusted = true;
  stored = 'two';
  expect(await cache.get('a', load)).toBe('two');
  expect(await cache.get('a', load)).toBe('two');
  expect(reads).toBe(2);
});

test('what is read while changes are heard, only late, is last known too; what may have changed unheard is not', async () => {
  trust.trusted = false;
  await cache.get('a', load);
  expect(cache.lastKnown('a')).toBe('one');
  await expect(cache.get('a', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(cache.lastKnown('a')).toBe('one');
  trust.epoch = 2;
  await cache.get('b', load);
  expect(cache.lastKnown('b')).toBeUndefined();
});

test('a record that this frontend changed is not last known as it was before', async () => {
  await cache.get('a', load);
  trust.trusted = false;
  cache.invalidate('a');
  expect(cache.lastKnown('a')).toBeUndefined();
});

test('nothing is believed while changes may go unheard', async () => {
  await cache.get('a', load);
  stored = 'two';
  trust.trusted = false;
  expect(await cache.get('a', load)).toBe('two');
  expect(reads).toBe(2);
});

test('absence and failure are not kept', async () => {
  stored = undefined;
  expect(await cache.get('a', load)).toBeUndefined();
  await expect(cache.get('a', () => Promise.reject(new Error('down')))).rejects.toThrow('down');
  stored = 'one';
  expect(await cache.get('a', load)).toBe('one');
});

test('the least recently used goes when there is too much', async () => {
  for (const name of ['a', 'b', 'c']) await cache.get(name, load);
  await cache.get('a', load);
  await cache.get('d', load);
  reads = 0;
  for (const name of ['a', 'c', 'd']) await cache.get(name, load);
  expect(reads).toBe(0);
  await cache.get('b', load);
  expect(reads).toBe(1);
});

test('a value larger than the cache is answered and not kept', async () => {
  stored = 'x'.repeat(11);
  expect(await cache.get('a', load)).toBe(stored);
  await cache.get('a', load);
  expect(reads).toBe(2);
});
