import { systemClock } from '@keyfleet/shared/clock';
import { reportField } from '@keyfleet/shared/reseal-queue';
import { proposalAt, resealProgressAt } from '@keyfleet/shared/stored/names';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { describeDomainStore } from '../../services/domain-manager/src/store/store.contract.ts';
import { RedisStore } from '@keyfleet/domain-manager/store/redis-store';

describe('the domain store in Redis', () => {
  const redis = useRedis();
  // The contract uses one store per test, so its domain is the newest.
  let domain = '';
  describeDomainStore(
    async () => new RedisStore(redis.writes, systemClock, { domain: (domain = randomUUID()), storeId: () => '' }),
    (_store, item, found) =>
      redis.client.hset(resealProgressAt(domain, item.generation), reportField(item), JSON.stringify(found)),
  );

  test('a value of another type among the proposals keeps nobody from the others', async () => {
    const store = new RedisStore(redis.writes, systemClock, { domain: (domain = randomUUID()), storeId: () => '' });
    const proposal = {
      proposalId: 'ab'.repeat(32),
      command: Buffer.from('x'),
      signatures: [],
      expiresAt: Date.now() + 60_000,
    };
    await store.putProposal(proposal, 8);
    const other = { ...proposal, proposalId: 'cd'.repeat(32) };
    await store.putProposal(other, 8);
    const [shown] = await store.listProposals();
    await redis.client.set(proposalAt(domain, other.proposalId), 'x');
    expect(await store.listProposals()).toEqual([shown]);
  });
});
