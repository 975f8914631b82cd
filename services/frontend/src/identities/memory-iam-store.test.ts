import { iamStoreContract } from './iam-store.contract.ts';
import { MemoryIamStore } from './memory-iam-store.ts';

iamStoreContract(async () => new MemoryIamStore());
