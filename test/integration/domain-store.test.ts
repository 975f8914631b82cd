import { systemClock } from '@keyfleet/shared/clock';
import { reportField } from '@keyfleet/shared/reseal-queue';
import {
  leaseAt,
  proposalAt,
  proposalsAt,
  resealProgressAt,
  sightingAt,
  signedAt,
  storeAt,
  storedValues,
  tokensAt,
} from '@keyfleet/shared/stored/names';
import { readStoreIdentity } from '@keyfleet/shared/redis/store-identity';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { describeDomainStore } from '../../services/domain-manager/src/store/store.contract.ts';
import { RedisStore } from '@keyfleet/domain-manager/store/redis-store';
import type { StoredProposal } from '@keyfleet/domain-manager/store/store';
import { newProposal as unsigned, parseProposal, proposalId as idOf } from '@keyfleet/shared/domain/proposal';
import type { Change } from '@keyfleet/test-support/domain';
import { alice, bob, command, foundedReplica, resetWorld, signed, world } from '@keyfleet/test-support/replicas';

/** Who signs in these tests and in the contract. */
const signers = () => ['alice', 'bob', 'anna', 'berta'].map((operatorId) => ({ operatorId }));

describe('the domain store in Redis', () => {
  const redis = useRedis();
  // The contract uses one store per test, so its domain is the newest.
  let domain = '';
  describeDomainStore(
    async () => newStore(),
    (_store, item, found) =>
      redis.client.hset(resealProgressAt(domain, item.generation), reportField(item), JSON.stringify(found)),
  );

  test('a value of another type among the proposals keeps nobody from the others', async () => {
    const store = newStore();
    const [proposal, other] = [newProposal('ab'), newProposal('cd')];
    await store.putProposal(proposal, 8);
    await store.putProposal(other, 8);
    const [shown] = await store.listProposals();
    await redis.client.set(proposalAt(domain, other.proposalId), 'x');
    expect(await store.listProposals()).toEqual([shown]);
  });

  test('what stands in the place of the list of proposals holds nothing up, and gives way to the next', async () => {
    const store = newStore();
    const proposal = newProposal('ab');
    await store.putProposal(proposal, 8);
    await redis.client.del(proposalsAt(domain));
    await redis.client.set(proposalsAt(domain), 'x');
    expect(await store.listProposalIds()).toEqual([]);
    expect(await store.listProposals()).toEqual([]);
    expect(await store.putProposal(proposal, 8)).toBe(true);
    expect(await store.listProposals()).toEqual([proposal]);
    await redis.client.del(proposalsAt(domain));
    await redis.client.set(proposalsAt(domain), 'x');
    await store.dropProposal(proposal.proposalId);
    expect(await store.findProposal(proposal.proposalId)).toBeUndefined();
  });

  test('what stands in the place of the list of tokens is no empty one, and gives way to the first that is restored', async () => {
    const store = newStore();
    const [one, two] = ['one', 'two'].map((token) => Buffer.from(token));
    await store.appendToken(1, one!);
    await redis.client.del(tokensAt(domain));
    await redis.client.set(tokensAt(domain), 'x');
    await expect(store.loadTokens(0, 9)).rejects.toThrow(`${tokensAt(domain)} is a string, and should be a list`);
    expect(await store.findToken(1)).toBeUndefined();
    for (const generation of [1, 2]) expect(await store.appendToken(generation, one!)).toBe(false);
    expect(await store.restoreToken(2, two!)).toBe(false);
    expect(await redis.client.get(tokensAt(domain))).toBe('x');
    expect(await store.restoreToken(1, one!)).toBe(true);
    expect(await store.restoreToken(2, two!)).toBe(true);
    expect(await store.loadTokens(0, 9)).toEqual([one, two]);
  });

  test('of what is longer than any token nobody is sent more than the length, and the token takes its place', async () => {
    const store = newStore();
    const [one, two] = ['one', 'two'].map((token) => Buffer.from(token));
    const sent = async () => Number(/total_net_output_bytes:(\d+)/.exec(await redis.client.info('stats'))![1]);
    await store.appendToken(1, one!);
    await redis.client.rpush(tokensAt(domain), Buffer.alloc(storedValues.tokens.maxBytes + 1), two!);
    const before = await sent();
    expect(await store.loadTokens(0, 9)).toEqual([one, Buffer.of(), two]);
    expect(await store.findToken(2)).toEqual(Buffer.of());
    expect((await sent()) - before).toBeLessThan(100_000);
    expect(await store.replaceToken(2, Buffer.of(), two!)).toBe(true);
    expect(await store.loadTokens(1, 9)).toEqual([two, two]);
  });

  test('a proposal whose place among the others is gone has it again when it is proposed or signed', async () => {
    const store = newStore();
    const [proposal, other] = ['ab', 'cd'].map((digits) => newProposal(digits));
    await store.putProposal(proposal!, 2);
    await redis.client.zrem(proposalsAt(domain), proposal!.proposalId);
    expect(await store.listProposals()).toEqual([]);
    const signed = { ...proposal!, signatures: [{ operatorId: 'bob', signature: Buffer.from('b') }] };
    expect(await store.putProposal(signed, 1)).toBe(true);
    const operators = (await store.listProposals())[0]!.signatures.map(({ operatorId }) => operatorId);
    expect(operators.toSorted()).toEqual(['alice', 'bob']);
    expect(await store.putProposal(other!, 1)).toBe(false);
  });

  test.each<[string, Record<string, string>]>([
    ['has another command', { command: 'junk', expiresAt: '9'.repeat(13) }],
    ['ends at no date', { command: 'command', expiresAt: 'never' }],
    ['has no date', { command: 'command' }],
    ['has a date that is too long', { command: 'command', expiresAt: '9'.repeat(16) }],
    ['has nothing of one', { x: '1' }],
  ])('what stands under the id of a proposal and %s is replaced by it', async (_what, fields) => {
    const store = newStore();
    const proposal = newProposal('ab');
    await redis.client.hset(proposalAt(domain, proposal.proposalId), { ...fields, command: fields['command'] ?? '' });
    await redis.client.zadd(proposalsAt(domain), 'inf', proposal.proposalId);
    expect(await store.putProposal(proposal, 1)).toBe(true);
    expect(await store.listProposals()).toEqual([proposal]);
    expect(await redis.client.pttl(proposalAt(domain, proposal.proposalId))).toBeGreaterThan(0);
  });

  test('ids of no proposal, which somebody left there for ever, keep nobody from proposing and signing', async () => {
    resetWorld();
    world.clock.time = Date.now();
    const store = newStore(world.clock);
    world.store = Object.assign(store, { report: async () => {} });
    const replica = await foundedReplica();
    const index = proposalsAt(domain);
    const ids = () => redis.client.zrange(index, '0', '-1');
    const [founding] = await ids();
    const fill = async () => {
      await redis.client.zadd(index, ...Array.from({ length: 64 }, (_, i) => ['inf', `junk-${i}`]).flat());
      await redis.client.hset(proposalAt(domain, 'junk-0'), { command: 'junk', expiresAt: '9'.repeat(13) });
      await redis.client.set(proposalAt(domain, 'junk-1'), 'junk');
    };
    await fill();
    const removal = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } } as const satisfies Change;
    const asked = command(replica, removal);
    const { proposalId } = await replica.proposals.propose(signed(asked, [alice]));
    expect(new Set(await ids())).toEqual(new Set([founding, proposalId]));
    await fill();
    await redis.client.zrem(index, proposalId);
    const [signature] = parseProposal(signed(asked, [bob])).signatures;
    const { signatures } = await replica.proposals.approve(proposalId, signature!);
    expect(signatures.map(({ operatorId }) => operatorId).toSorted()).toEqual(['alice', 'bob']);
    expect(new Set(await ids())).toEqual(new Set([founding, proposalId]));
    expect(await redis.client.exists(...['junk-0', 'junk-1'].map((id) => proposalAt(domain, id)))).toBe(0);
  });

  test('a date that is over, which somebody gave a proposal to come, keeps nobody from signing it', async () => {
    resetWorld();
    world.clock.time = Date.now();
    const store = newStore(world.clock);
    world.store = Object.assign(store, { report: async () => {} });
    const replica = await foundedReplica();
    const asked = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    const planted = unsigned(asked);
    const id = idOf(planted);
    await redis.client.hset(proposalAt(domain, id), { command: planted.command, expiresAt: '1' });
    await replica.proposals.propose(signed(asked, [alice]));
    const [signature] = parseProposal(signed(asked, [bob])).signatures;
    expect((await replica.proposals.approve(id, signature!)).signatures).toHaveLength(2);
  });

  test('ids that are no text, which somebody left there for ever, keep nobody from proposing', async () => {
    const store = newStore();
    const [proposal, other, third] = ['ab', 'cd', 'ef'].map((digits) => newProposal(digits));
    await store.putProposal(proposal!, 2);
    const ids = Array.from({ length: 64 }, (_, i) => Buffer.concat([Buffer.from([0xff]), Buffer.alloc(63, i)]));
    for (const id of ids) await redis.client.zadd(proposalsAt(domain), 'inf', id);
    expect(await store.putProposal(other!, 2)).toBe(true);
    expect(await store.listProposals()).toEqual([proposal, other]);
    expect(await store.putProposal(third!, 2)).toBe(false);
    expect(await store.listProposalIds()).toHaveLength(2);
  });

  test('the next pass of resealing takes over no date of a proof that is longer than it can be', async () => {
    const store = newStore();
    await store.startPass(2, { pass: 1, shards: 1, startedAt: 1 });
    await redis.client.hset(resealProgressAt(domain, 2), 'verifiedAt', '9'.repeat(300));
    await store.startPass(2, { pass: 2, shards: 1, startedAt: 2 });
    expect(await redis.client.hget(resealProgressAt(domain, 2), 'pass')).toBe('2');
    expect(await redis.client.hexists(resealProgressAt(domain, 2), 'verifiedAt')).toBe(0);
  });

  test('of a proposal its own fields are read alone, none that is longer than it can be', async () => {
    const store = newStore();
    const proposal = newProposal('ab');
    await store.putProposal(proposal, 8);
    const name = proposalAt(domain, proposal.proposalId);
    await redis.client.hset(name, 'x', 'x'.repeat(8_000_000), 'signature:mallory', 'x'.repeat(8_000_000));
    await redis.client.hset(name, 'failure', 'x'.repeat(8_000_000), 'signature:bob', 'x'.repeat(8_000_000));
    const before = await sentBytes();
    expect(await store.findProposal(proposal.proposalId)).toEqual(proposal);
    expect((await sentBytes()) - before).toBeLessThan(100_000);
  });

  test('what stands under no proposal’s id is not looked for, nor listed', async () => {
    const store = newStore();
    const ids = ['x}:store', 'ab'.repeat(31), 'AB'.repeat(32), `${'ab'.repeat(32)}:store`];
    for (const id of ids) {
      await redis.client.hset(proposalAt(domain, id), { command: 'x', expiresAt: '9'.repeat(13) });
      await redis.client.zadd(proposalsAt(domain), 'inf', id);
      expect(await store.findProposal(id)).toBeUndefined();
    }
    expect(await store.listProposals()).toEqual([]);
  });

  test('why a proposal failed is kept as far as it is read', async () => {
    const store = newStore();
    const proposal = newProposal('ab');
    await store.putProposal(proposal, 8);
    await store.setFailure(proposal.proposalId, '…'.repeat(9000));
    expect((await store.findProposal(proposal.proposalId))?.failure).toMatch(/^…{2000}$/);
  });

  test('the dates of one operator’s signatures have a limit, and nobody else’s are forgotten for them', async () => {
    const store = newStore();
    const id = 'ab'.repeat(32);
    const of = (operatorId: string, i: number) => ({ operatorId, signature: Buffer.alloc(96, i) });
    const over = Date.now() - 1;
    for (const operatorId of ['anna', 'berta']) await store.dateSignature(id, of(operatorId, 0), over);
    for (let i = 1; i < 200; i++) await store.dateSignature(id, of('anna', i), over - i);
    const later = Date.now() + 60_000;
    expect((await store.dateSignature(id, of('anna', 100), later)).until).toBe(over - 100);
    expect((await store.dateSignature(id, of('berta', 0), later)).until).toBe(over);
    expect(await redis.client.strlen(signedAt(domain, 'anna'))).toBe(storedValues.signed.maxBytes);
    expect(await redis.client.pttl(signedAt(domain, 'anna'))).toBeGreaterThan(0);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['is a value of another type', () => redis.client.hset(signedAt(domain, 'anna'), 'x', 'x')],
    ['is longer than it can be', () => redis.client.set(signedAt(domain, 'anna'), 'x'.repeat(9000))],
    ['is no text', () => redis.client.set(signedAt(domain, 'anna'), Buffer.alloc(8000, 0xff))],
  ])('what stands in the place of those dates and %s gives way to the next', async (_what, plant) => {
    const store = newStore();
    await plant();
    const id = 'ab'.repeat(32);
    const signature = { operatorId: 'anna', signature: Buffer.alloc(96, 1) };
    const over = Date.now() - 1;
    for (const until of [over, Date.now() + 60_000])
      expect((await store.dateSignature(id, signature, until)).until).toBe(over);
  });

  test('what is no identity of a store is replaced when the domain is founded, and allows no token to be put back', async () => {
    const store = newStore();
    const [one, two] = ['one', 'two'].map((token) => Buffer.from(token));
    for (const other of [Buffer.from([0xff, 0xfe]), 'x', 'F'.repeat(36)]) {
      await redis.client.hset(storeAt(domain), 'id', other);
      expect(await store.restoreToken(1, one!)).toBe(false);
    }
    expect(await store.appendToken(1, one!)).toBe(true);
    expect((await readStoreIdentity(redis.client, domain)).id).not.toBe('');
    expect(await store.restoreToken(2, two!)).toBe(true);
    await redis.client.hset(storeAt(domain), 'id', Buffer.from([0xff, 0xfe]));
    expect(await store.replaceToken(2, two!, one!)).toBe(false);
  });

  test('a domain-manager whose clock is ahead drops no proposal of the others', async () => {
    const options = { domain: (domain = randomUUID()), storeId: () => '', operators: signers };
    const proposal = newProposal('ab');
    const store = new RedisStore(redis.writes, systemClock, options);
    await store.putProposal(proposal, 8);
    const ahead = new RedisStore(redis.writes, { now: () => Date.now() + 8 * 24 * 3_600_000 }, options);
    await ahead.putProposal(newProposal('cd'), 8);
    expect((await store.listProposals()).map(({ proposalId }) => proposalId)).toContain(proposal.proposalId);
  });

  test('of a proposal that is over when it is put, nothing is left, nor of the signatures that one had', async () => {
    const store = newStore();
    const proposal = newProposal('ab');
    await store.putProposal({ ...proposal, expiresAt: Date.now() - 1 }, 8);
    expect(await redis.client.exists(proposalAt(domain, proposal.proposalId))).toBe(0);
    await store.putProposal(proposal, 8);
    // Somebody gave it another date, and left it there for ever.
    await redis.client.hset(proposalAt(domain, proposal.proposalId), 'expiresAt', String(Date.now() - 1));
    await redis.client.persist(proposalAt(domain, proposal.proposalId));
    const ofBob = { ...proposal, signatures: [{ operatorId: 'bob', signature: Buffer.from('b') }] };
    await store.putProposal(ofBob, 8);
    expect(await store.listProposals()).toEqual([ofBob]);
  });

  test('a lease that no replica can have written holds nobody up', async () => {
    const store = newStore();
    const name = leaseAt(domain);
    for (const write of [
      () => redis.client.set(name, 'without end'),
      () => redis.client.set(name, 'too long', 'PX', 60_000),
      () => redis.client.hset(name, 'another', 'type'),
    ]) {
      await redis.client.del(name);
      await write();
      expect(await store.holdLease('one', 5_000)).toBe(true);
      expect(await store.holdLease('two', 5_000)).toBe(false);
    }
    await redis.client.persist(name);
    expect(await store.holdLease('two', 5_000)).toBe(true);
  });

  const begun = { pass: '1', shards: '2', startedAt: '1' };
  test.each<[string, Record<string, string>]>([
    ['has more shards than any', { ...begun, shards: '17' }],
    ['has a number without end of them', { ...begun, shards: '1e15' }],
    ['has none', { ...begun, shards: '0' }],
    ['is of a pass that is no number', { ...begun, pass: '1e400' }],
    ['has no date', { ...begun, startedAt: 'x' }],
    ['was verified at no date', { ...begun, verifiedAt: '-1' }],
    ['is long', { ...begun, pass: '1'.repeat(100_000) }],
  ])('progress of resealing that %s is none, and a pass begins in its place', async (_what, fields) => {
    const [store, name, dropped] = watched();
    await redis.client.hset(name, { ...fields, '1:0': report(9) });
    await expectToBeginAnew(store);
    expect(dropped).toEqual([name]);
  });

  test('a pass begins in place of a value of another type, too', async () => {
    const [store, name, dropped] = watched();
    await redis.client.set(name, 'x');
    await expectToBeginAnew(store);
    expect(dropped).toEqual([name]);
  });

  test('a sighting that no domain-manager can have written is none, and is replaced', async () => {
    const store = newStore();
    await redis.client.hset(sightingAt(domain, 3), { x: 'x' });
    await redis.client.set(sightingAt(domain, 4), Buffer.alloc(1024 * 1024));
    for (const generation of [3, 4]) {
      expect(await store.findSighting(generation)).toBeUndefined();
      await store.putSighting(generation, Buffer.from('seen'));
      expect(await store.findSighting(generation)).toEqual(Buffer.from('seen'));
    }
  });

  test("a shard's report that cannot be read is none, and the others count", async () => {
    const [store, name, dropped] = watched();
    await store.startPass(2, { pass: 1, shards: 4, startedAt: 1 });
    const long = { ...JSON.parse(report(1)), padding: 'x'.repeat(100_000) };
    await redis.client.hset(name, {
      '1:0': 'x',
      '1:1': '{"resealed":-1}',
      '1:2': JSON.stringify(long),
      '1:3': report(5),
    });
    expect(await store.findReseal(2)).toMatchObject({
      parts: 1,
      resealed: 5,
      reports: new Map([[3, JSON.parse(report(5))]]),
    });
    expect(dropped).toEqual([]);
  });

  async function sentBytes(): Promise<number> {
    return Number(/total_net_output_bytes:(\d+)/.exec(await redis.client.info('stats'))![1]);
  }

  function newStore(clock = systemClock): RedisStore {
    return new RedisStore(redis.writes, clock, {
      domain: (domain = randomUUID()),
      storeId: () => '',
      operators: signers,
    });
  }

  function watched(): [RedisStore, string, string[]] {
    const dropped: string[] = [];
    const onDropped = (name: string): void => void dropped.push(name);
    const options = { domain: (domain = randomUUID()), storeId: () => '', operators: signers, onDropped };
    return [new RedisStore(redis.writes, systemClock, options), resealProgressAt(domain, 2), dropped];
  }
});

function newProposal(digits: string): StoredProposal {
  const signatures = [{ operatorId: 'alice', signature: Buffer.from('a') }];
  const expiresAt = Date.now() + 60_000;
  return { proposalId: digits.repeat(32), command: Buffer.from('x'), signatures, expiresAt };
}

async function expectToBeginAnew(store: RedisStore): Promise<void> {
  expect(await store.findReseal(2)).toBeUndefined();
  await store.startPass(2, { pass: 1, shards: 2, startedAt: 55 });
  const expected = { pass: 1, shards: 2, startedAt: 55, reports: new Map(), parts: 0, resealed: 0 };
  expect(await store.findReseal(2)).toEqual(expected);
}

function report(resealed: number): string {
  return JSON.stringify({ resealed, remaining: 0, parts: 1, standing: 'done' });
}
