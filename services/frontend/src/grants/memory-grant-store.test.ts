import { MemoryStore } from '../store/memory-store.ts';
import { grantStoreContract } from './grant-store.contract.ts';
import { MemoryGrantStore } from './memory-grant-store.ts';

grantStoreContract(async () => {
  const keys = new MemoryStore();
  const exists = async ({ region, keyId }: { region: string; keyId: string }) =>
    (await keys.findKey(region, keyId)) !== undefined;
  return { keys, grants: new MemoryGrantStore(exists) };
});
