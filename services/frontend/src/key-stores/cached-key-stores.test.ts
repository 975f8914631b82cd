import { expect, test } from 'vitest';
import { CachedKeyStores } from './cached-key-stores.ts';
import type { CustomKeyStore, KeyStoreStore } from './key-store.ts';
import { LastKnown } from '../store/last-known.ts';
import { StoreUnavailableError } from '../store/store.ts';

const scope = { accountId: '111122223333', region: 'us-east-1' };

test('while changes are not heard the store is asked; what was known serves cryptography if it is late, and that is said', async () => {
  const feed = { trusted: true, epoch: 0, connected: true, servesLastKnown: true };
  const changes = Object.assign(feed, { isLastKnown: (epoch: number) => epoch === 0, listen: () => {} });
  let stores = [{ id: 'cks-1', connectionState: 'CONNECTED' }] as unknown as CustomKeyStore[];
  let isAway = false;
  const store = {
    find: async () => {
      if (isAway) throw new StoreUnavailableError('away');
      return { ...scope, stores };
    },
  } as unknown as KeyStoreStore;
  const cached = new CachedKeyStores(store, changes);
  const none = undefined as never;
  const recall = new LastKnown(none, none, none, none, changes);
  expect(await cached.find(scope, recall)).toMatchObject({ stores });
  const [before, after] = [stores, [{ ...stores[0]!, connectionState: 'DISCONNECTED' } as unknown as CustomKeyStore]];
  stores = after;
  Object.assign(feed, { trusted: false, epoch: 1 });
  expect(await cached.find(scope, recall)).toMatchObject({ stores: after });
  expect(recall.served).toBe(false);

  isAway = true;
  await expect(cached.find(scope)).rejects.toThrow(StoreUnavailableError);
  expect(await cached.find(scope, recall)).toMatchObject({ stores: before });
  expect(recall.served).toBe(true);
});
