import { MemoryStore } from '../store/memory-store.ts';
import { keyStoreStoreContract } from './key-store-store.contract.ts';
import { MemoryKeyStores } from './memory-key-stores.ts';

keyStoreStoreContract(async () => {
  const keys = new MemoryStore();
  const isThere = async (region: string, keyId: string) => (await keys.findKey(region, keyId)) !== undefined;
  return { keys, keyStores: new MemoryKeyStores(isThere) };
});
