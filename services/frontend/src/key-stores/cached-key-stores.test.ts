import { expect, test } from 'vitest';
import { CachedKeyStores } from './cached-key-stores.ts';
import type { CustomKeyStore, KeyStoreStore } from './key-store.ts';

const scope = { accountId: '111122223333', region: 'us-east-1' };

test('while changes are not heard the store is asked, and what was known serves only if it does not answer', async () => {
  const feed = { trusted: true, epoch: 0, connected: true, servesLastKnown: true };
  const changes = Object.assign(feed, { isLastKnown: (epoch: number) => epoch === 0, listen: () => {} });
  let stores = [{ id: 'cks-1', connectionState: 'CONNECTED' }] as unknown as CustomKeyStore[];
  const store = { find: async () => ({ ...scope, stores }) } as unknown as KeyStoreStore;
  const cached = new CachedKeyStores(store, changes);
  expect(await cached.find(scope)).toMatchObject({ stores });
  const [before, after] = [stores, [{ ...stores[0]!, connectionState: 'DISCONNECTED' } as unknown as CustomKeyStore]];
  stores = after;
  Object.assign(feed, { trusted: false, epoch: 1 });
  expect(await cached.find(scope)).toMatchObject({ stores: after });
  feed.connected = false;
  expect(await cached.find(scope)).toMatchObject({ stores: before });
});
