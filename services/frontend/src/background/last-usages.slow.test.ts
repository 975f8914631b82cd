import { beforeEach, expect, test } from 'vitest';
import type { KmsKey } from '../keys/kms-key.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { newKey } from '../store/key-store.contract.ts';
import { type KeyUse, type LastUsage, StoreUnavailableError } from '../store/store.ts';
import { LastUsages } from './last-usages.ts';

/** Counts writes, and can be unreachable or slow. */
class Store extends MemoryStore {
  readonly written: LastUsage[] = [];
  failure: Error | undefined;
  gate = Promise.resolve();

  override async keepLastUsages(uses: readonly KeyUse[]): Promise<void> {
    await this.gate;
    if (this.failure) throw this.failure;
    this.written.push(...uses.map(({ usage }) => ({ ...usage })));
    await super.keepLastUsages(uses);
  }
}

let store: Store;
let now: number;
let problems: unknown[];
let key: KmsKey;
beforeEach(async () => {
  store = new Store();
  now = 1_000;
  problems = [];
  key = newKey();
  await store.insertKey(key);
});

function open(): LastUsages {
  return new LastUsages({
    usages: store,
    clock: { now: () => now },
    onProblem: (problem) => void problems.push(problem),
  });
}

function use(usages: LastUsages, requestId: string, overrides: Partial<Parameters<LastUsages['note']>[0]> = {}): void {
  now++;
  usages.note({ name: 'Encrypt', keys: [key], request: { requestId }, ...overrides }, `event of ${requestId}`);
}

test('uses between two flushes cost one write, of the last', async () => {
  await using usages = open();
  for (const id of ['1', '2', '3']) use(usages, id);
  use(usages, '4', { name: 'Sign' });
  await usages.flush();
  expect(store.written).toEqual([{ operation: 'Sign', usedAt: 1_004, requestId: '4', eventId: 'event of 4' }]);
  await usages.flush();
  expect(store.written).toHaveLength(1);
});

test('an operation without key material is not a use of the key', async () => {
  await using usages = open();
  use(usages, '1', { name: 'DescribeKey' });
  await usages.flush();
  expect(store.written).toEqual([]);
  expect(await usages.find(key)).toBeUndefined();
});

test('a use is known here at once, even while it is being written, and to others once it is', async () => {
  await using here = open();
  await using there = open();
  use(here, '1');
  expect(await here.find(key)).toMatchObject({ requestId: '1' });
  expect(await there.find(key)).toBeUndefined();

  const gate = Promise.withResolvers<void>();
  store.gate = gate.promise;
  const flushed = here.flush();
  expect(await here.find(key)).toMatchObject({ requestId: '1' });
  gate.resolve();
  await flushed;
  expect(await there.find(key)).toMatchObject({ requestId: '1' });
});

test('the later use counts, whoever noted it and whoever is asked', async () => {
  await using here = open();
  await using there = open();
  use(here, 'early');
  use(there, 'late');
  await there.flush();
  expect(await here.find(key)).toMatchObject({ requestId: 'late' });
  await here.flush();
  expect(await there.find(key)).toMatchObject({ requestId: 'late' });
});

test('a use that could not be written is written later, unless the key was used again', async () => {
  const other = newKey();
  await store.insertKey(other);
  await using usages = open();
  use(usages, '1');
  use(usages, '2', { keys: [other] });
  store.failure = new StoreUnavailableError('redis is down');
  await usages.flush();
  expect(problems).toEqual([store.failure]);
  use(usages, '3');

  store.failure = undefined;
  await usages.flush();
  expect(await store.findLastUsage(key.region, key.keyId)).toMatchObject({ requestId: '3' });
  expect(await store.findLastUsage(other.region, other.keyId)).toMatchObject({ requestId: '2' });
  expect(store.written).toHaveLength(2);
});

test('a frontend that stops writes what it knows', async () => {
  {
    await using usages = open();
    use(usages, '1');
  }
  expect(store.written).toHaveLength(1);
});

test('far more keys than can be noted at once are reported, and those noted are kept', async () => {
  await using usages = open();
  const keys = Array.from({ length: 100_001 }, (_, i) => ({ ...key, arn: `${key.arn}${i}` }));
  usages.note({ name: 'Encrypt', keys, request: { requestId: '1' } }, 'e');
  await usages.flush();
  expect(store.written).toHaveLength(100_000);
  expect(problems).toEqual([new Error('1 uses were not noted: too many different keys at once')]);
});
