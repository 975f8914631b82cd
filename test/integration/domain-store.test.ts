import { systemClock } from '@keyfleet/shared/clock';
import { reportField } from '@keyfleet/shared/reseal-queue';
import { proposalAt, resealProgressAt } from '@keyfleet/shared/stored/names';
import { writesOf } from '@keyfleet/test-support/redis-client';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeDomainStore } from '../../services/domain-manager/src/store/store.contract.ts';
import { RedisStore } from '@keyfleet/domain-manager/store/redis-store';

describe('the domain store in Redis', () => {
  let server: TestServer;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.port);
  });
  afterAll(async () => {
    redis.disconnect();
    await server[Symbol.asyncDispose]();
  });
  // The contract uses one store per test, so its domain is the newest.
  let domain = '';
  describeDomainStore(
    async () => new RedisStore(writesOf(redis), systemClock, { domain: (domain = randomUUID()), storeId: () => '' }),
    (_store, item, found) =>
      redis.hset(resealProgressAt(domain, item.generation), reportField(item), JSON.stringify(found)),
  );

  test('a value of another type among the proposals keeps nobody from the others', async () => {
    const store = new RedisStore(writesOf(redis), systemClock, { domain: (domain = randomUUID()), storeId: () => '' });
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
    await redis.set(proposalAt(domain, other.proposalId), 'x');
    expect(await store.listProposals()).toEqual([shown]);
  });
});
