import { newKeyId } from '@keyfleet/shared/ids';
import { beforeEach, expect, test } from 'vitest';
import { newKey } from '../store/key-store.contract.ts';
import { ConflictError, type KeyStore } from '../store/store.ts';
import type { CustomKeyStore, ExternalKeyStore, KeyStoreStore } from './key-store.ts';

const scope = { accountId: '111122223333', region: 'us-east-1' };

export function newCustomKeyStore(id: string, overrides: Partial<ExternalKeyStore> = {}): CustomKeyStore {
  return {
    id,
    name: `name of ${id}`,
    createdAt: 1_700_000_000_000,
    state: 'CONNECTED',
    type: 'EXTERNAL_KEY_STORE',
    xks: {
      uriEndpoint: 'https://xks.example.com',
      uriPath: `/${id}/kms/xks/v1`,
      accessKeyId: 'A'.repeat(20),
      token: Buffer.from(`token of ${id}`),
    },
    ...overrides,
  };
}

interface Opened {
  readonly keyStores: KeyStoreStore;
  readonly keys: Pick<KeyStore, 'insertKey' | 'findKey' | 'deleteKey' | 'clearTraces'>;
}

/** What every store of custom key stores must do; `open` returns an empty one. */
export function keyStoreStoreContract(open: () => Promise<Opened>): void {
  let keyStores: KeyStoreStore;
  let keys: Opened['keys'];
  beforeEach(async () => {
    ({ keyStores, keys } = await open());
  });
  const [one, two] = [
    newCustomKeyStore('cks-1'),
    newCustomKeyStore('cks-2', { state: 'FAILED', error: 'INTERNAL_ERROR' }),
  ];
  const insert = async (...stores: readonly CustomKeyStore[]) => keyStores.replace(await keyStores.find(scope), stores);
  /** A key that takes a place in the store. */
  const claim = async (xksKeyId: string, keyId = newKeyId(false)) => {
    const claimed = await keyStores.claim(await keyStores.find(scope), { keyId, customKeyStoreId: 'cks-1', xksKeyId });
    const arn = `arn:aws:kms:${scope.region}:${scope.accountId}:key/${keyId}`;
    return { claimed, key: newKey({ keyId, arn, ...scope, customKeyStoreId: 'cks-1', xksKeyId }) };
  };

  test('stored items are found in their order, and in another Region or account there are none', async () => {
    await insert(one, two);
    expect((await keyStores.find(scope)).stores).toEqual([one, two]);
    for (const other of [{ region: 'eu-west-1' }, { accountId: '999999999999' }]) {
      expect((await keyStores.find({ ...scope, ...other })).stores).toEqual([]);
    }
  });

  test('a writer that read something older changes nothing', async () => {
    await insert(one);
    const before = await keyStores.find(scope);
    await insert(one, two);
    await expect(keyStores.replace(before, [])).rejects.toThrow(ConflictError);
    await expect(keyStores.remove(before, one.id)).rejects.toThrow(ConflictError);
    const key = { keyId: newKeyId(false), customKeyStoreId: 'cks-1', xksKeyId: 'key-1' };
    await expect(keyStores.claim(before, key)).rejects.toThrow(ConflictError);
    expect((await keyStores.find(scope)).stores).toEqual([one, two]);
  });

  test('an external key is of one key, in each store', async () => {
    await insert(one, two);
    expect((await claim('key-1')).claimed).toBe(true);
    expect((await claim('key-1')).claimed).toBe(false);
    expect((await claim('key-10')).claimed).toBe(true);
    const elsewhere = { keyId: newKeyId(false), customKeyStoreId: 'cks-2', xksKeyId: 'key-1' };
    expect(await keyStores.claim(await keyStores.find(scope), elsewhere)).toBe(true);
  });

  test('a store is removed when its keys are gone, and no other with it', async () => {
    await insert(one, two);
    const { key } = await claim('key-1');
    await keys.insertKey(key);
    expect(await keyStores.remove(await keyStores.find(scope), one.id)).toBe(false);
    const stored = await keys.findKey(scope.region, key.keyId);
    await keys.deleteKey(stored!, { id: 'a', text: '{}' });
    await keys.clearTraces(stored!);
    expect(await keyStores.remove(await keyStores.find(scope), one.id)).toBe(true);
    expect((await keyStores.find(scope)).stores).toEqual([two]);
  });
}
