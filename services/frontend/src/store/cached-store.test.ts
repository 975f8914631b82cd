import { expect, test } from 'vitest';
import type { CachedGrants } from '../grants/cached-grants.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { CachedStore } from './cached-store.ts';
import { newKey } from './key-store.contract.ts';
import { MemoryStore } from './memory-store.ts';

const changes = {
  trusted: true,
  epoch: 1,
  connected: true,
  servesLastKnown: false,
  isLastKnown: () => true,
  listen: () => undefined,
};
const long = 'x'.repeat(128);
const many = Array.from({ length: 50 }, (_, i) => `${i}`);

test.each<[string, Partial<KmsKey>]>([
  ['tags', { tags: many.map((n) => ({ TagKey: long + n, TagValue: long + n })) }],
  ['principals', { policyPrincipals: Object.fromEntries(many.map((n) => [n, long + long + n])) }],
  ['a policy', { policy: 'x'.repeat(13_000) }],
])('a record with %s weighs as much in memory as they take', async (_, members) => {
  let reads = 0;
  const store = Object.assign(new MemoryStore(), {
    findKey: (region: string, keyId: string) => {
      reads++;
      return Promise.resolve(newKey({ region, keyId, ...members }));
    },
  });
  const cached = new CachedStore(store, changes, { maxKeyBytes: 1_000_000, grants: {} as CachedGrants });
  const ids = Array.from({ length: 100 }, (_, i) => `key-${i}`);
  for (let round = 0; round < 2; round++) for (const keyId of ids) await cached.findKey('us-east-1', keyId);
  // About 28 KB each: 36 of them have room.
  expect(reads).toBeGreaterThan(150);
});
