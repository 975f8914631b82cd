import { expect, test } from 'vitest';
import { newKey } from '../store/key-store.contract.ts';
import { CachedGrants } from './cached-grants.ts';
import { tooMany } from './grant-store.ts';
import { newGrant } from './grant-store.contract.ts';
import { MemoryGrantStore } from './memory-grant-store.ts';

test('requests that come together share a read of grants, but none that began before a change', async () => {
  let reads = 0;
  class Counting extends MemoryGrantStore {
    override grantsOf(...asked: Parameters<MemoryGrantStore['grantsOf']>) {
      reads += 1;
      return super.grantsOf(...asked);
    }
  }
  const feed = { trusted: true, epoch: 1, connected: true, servesLastKnown: false };
  const changes = { ...feed, isLastKnown: () => false, listen: () => {} };
  const grants = new CachedGrants(new Counting(async () => true), changes);
  const grant = newGrant(newKey());
  const idsOf = async () => {
    const found = await grants.grantsOf(grant, grant.grantee);
    return found === tooMany ? [] : found.map(({ grantId }) => grantId);
  };

  expect(await Promise.all([idsOf(), idsOf(), idsOf()])).toEqual([[], [], []]);
  expect(reads).toBe(1);
  grants.forgetAll();
  const before = idsOf();
  await grants.insert(grant, 9);
  expect(await idsOf()).toEqual([grant.grantId]);
  await before;
  expect(reads).toBe(3);
});
