import { describe } from 'vitest';
import { systemClock } from '@keyfleet/shared/clock';
import { MemoryStore } from './memory-store.ts';
import { describeDomainStore } from './store.contract.ts';

describe('the domain store in memory', () => {
  describeDomainStore(
    async () => new MemoryStore(systemClock),
    (store, item, found) => store.report(item, found),
  );
});
