import { beforeEach, expect, test, vi } from 'vitest';
import { MemoryStore } from '../store/memory-store.ts';
import type { AccessKeyUse } from '../store/store.ts';
import { AccessKeyUses, FLUSH_MS } from './access-key-uses.ts';

const accessKeyId = 'AKIAEXAMPLE';

class Store extends MemoryStore {
  readonly written: AccessKeyUse[] = [];

  override async keepAccessKeyUse(id: string, use: AccessKeyUse): Promise<void> {
    this.written.push({ ...use });
    await super.keepAccessKeyUse(id, use);
  }
}

let store: Store;
let now: number;
beforeEach(async () => {
  store = new Store();
  now = 1_000;
  const user = { principal: 'arn:aws:iam::111122223333:user/alice', accountId: '111122223333', userId: 'AIDA1' };
  await store.insertAccessKey({ ...user, accessKeyId, token: Buffer.of(1), policies: [] });
});

function open(): AccessKeyUses {
  return new AccessKeyUses({
    uses: store,
    clock: { now: () => now++ },
    onProblem: (problem) => expect.unreachable(String(problem)),
  });
}

test('an access key that signs all the time is written once in some minutes, with its last use', async () => {
  vi.useFakeTimers();
  try {
    await using uses = open();
    for (let i = 0; i < 1_000; i++) uses.note(accessKeyId, 'kms', 'eu-west-1');
    uses.note(accessKeyId, 'iam', 'us-east-1');
    await vi.advanceTimersByTimeAsync(FLUSH_MS - 1);
    expect(store.written).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(store.written).toEqual([{ usedAt: 2_000, service: 'iam', region: 'us-east-1' }]);
    await vi.advanceTimersByTimeAsync(10 * FLUSH_MS);
    expect(store.written).toHaveLength(1);
  } finally {
    vi.useRealTimers();
  }
});

test('the latest use is reported, whichever frontend noted it', async () => {
  await using here = open();
  await using there = open();
  expect(await here.find(accessKeyId)).toBeUndefined();
  here.note(accessKeyId, 'sts', 'us-east-1');
  there.note(accessKeyId, 'kms', 'eu-west-1');
  expect(await here.find(accessKeyId)).toMatchObject({ service: 'sts' });
  await there.flush();
  expect(await here.find(accessKeyId)).toMatchObject({ service: 'kms', region: 'eu-west-1' });
  await here.flush();
  expect(await store.findAccessKeyUse(accessKeyId)).toMatchObject({ service: 'kms' });
});

test('an access key that is deleted leaves nothing behind', async () => {
  await using uses = open();
  uses.note(accessKeyId, 'kms', 'eu-west-1');
  await store.deleteAccessKey(accessKeyId);
  await uses.flush();
  expect(await store.findAccessKeyUse(accessKeyId)).toBeUndefined();
});
