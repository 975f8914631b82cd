import { openIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { type Change, memberOf, rotation, testSealKey, withOtherKeys } from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  grownReplica,
  LocalWorker,
  newReplica,
  type Replica,
  resetWorld,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { parseToken } from '@keyfleet/shared/domain/token';
import { beforeEach, expect, test } from 'vitest';
import { MemoryStore } from './store/memory-store.ts';

beforeEach(resetWorld);

const removal = (...remove: string[]): Change => ({ name: 'ModifyMembers', body: { admit: [], remove } });

/** The others are away, and people sign that hsm-1's word is enough: its token has other keys, under the same ids. */
async function letPass(replica: Replica, change: Change): Promise<void> {
  const [liar, ...others] = world.workers as [LocalWorker, ...LocalWorker[]];
  for (const other of others) other.down = true;
  const proposal = signed({ ...command(replica, change), unwitnessed: true }, [alice, bob]);
  const honest = liar.hsm.prepare(proposal, replica.tokens.head!.token);
  liar.forged = withOtherKeys(honest, openIdentity(liar.hsm.sealedIdentity(), testSealKey).identity);
  await replica.proposals.propose(proposal);
  liar.install = async () => liar.describe();
  await replica.round.run();
  const { generation, head } = replica.tokens;
  expect(generation).toBe(3);
  liar.claims = { generation, tokenHash: parseToken(head!.token).hash };
  liar.gives = Buffer.from(head!.token);
  for (const other of others) other.down = false;
}

/** What RPOP leaves; domain-managers were stopped before, and start anew. */
async function withoutTheLast(): Promise<Replica> {
  const { store, clock } = world;
  world.store = new MemoryStore(clock);
  const tokens = await store.loadTokens(0, 9);
  for (const [i, token] of tokens.slice(0, -1).entries()) await world.store.appendToken(i + 1, token);
  for (const proposal of await store.listProposals()) await world.store.putProposal(proposal, 9);
  const replica = newReplica();
  await replica.tokens.refresh();
  return replica;
}

const remaining = ({ tokens }: Replica) => tokens.head!.state.members.map(({ memberId }) => memberId);

async function carryOut(replica: Replica, change: Change): Promise<void> {
  await replica.proposals.propose(signed(command(replica, change, 'hsm-2'), [alice, bob]));
  await replica.round.run();
}

test('keys that were replaced are taken back: with the token out of the store, and without its maker', async () => {
  const replica = await grownReplica();
  await letPass(replica, rotation);
  await replica.round.run();
  const problem = expect.stringContaining('changes a key that the domain already has') as string;
  expect(replica.round.views.map((view) => view.problem)).toEqual([undefined, problem, problem]);

  // While its maker is in reach, it gives the token back.
  const tooSoon = await withoutTheLast();
  await tooSoon.round.run();
  expect(tooSoon.tokens.generation).toBe(3);

  world.workers.shift();
  const again = await withoutTheLast();
  await again.round.run();
  expect(again.tokens.generation).toBe(2);
  await carryOut(again, removal('hsm-1'));
  expect(remaining(again)).toEqual(['hsm-2', 'hsm-3']);
  for (const { hsm } of world.workers) expect(hsm.describe().generation).toBe(3);
});

test('whom that token removed, and who took it, gives it back as well: it goes too, and comes again as a new member', async () => {
  const replica = await grownReplica();
  await letPass(replica, removal('hsm-3'));
  await replica.round.run();
  const [, second, third] = world.workers;
  expect([second, third].map((one) => one!.hsm.describe().generation)).toEqual([2, 3]);
  for (const inReach of [[second!, third!], [second!]]) {
    world.workers = inReach;
    const again = await withoutTheLast();
    await again.round.run();
    expect(again.tokens.generation).toBe(inReach.length === 2 ? 3 : 2);
    if (inReach.length === 2) continue;
    await carryOut(again, removal('hsm-1', 'hsm-3'));
    world.workers.push(new LocalWorker('hsm-3', world.clock));
    await carryOut(again, { name: 'ModifyMembers', body: { admit: [memberOf(world.workers[1]!.hsm)], remove: [] } });
    expect(remaining(again)).toEqual(['hsm-2', 'hsm-3']);
    expect(world.workers.map(({ hsm }) => hsm.describe().generation)).toEqual([4, 4]);
  }
});

test('where it removed all others, and they took it, one goes on whose volume is from before', async () => {
  const replica = await grownReplica();
  const sealedIdentity = world.workers[1]!.hsm.sealedIdentity();
  await letPass(replica, removal('hsm-2', 'hsm-3'));
  await replica.round.run();
  expect(world.workers[1]!.hsm.describe().generation).toBe(3);
  world.workers = [new LocalWorker('hsm-2', world.clock, { sealedIdentity })];
  const again = await withoutTheLast();
  await again.round.run();
  await carryOut(again, removal('hsm-1', 'hsm-3'));
  expect(remaining(again)).toEqual(['hsm-2']);
  expect(world.workers[0]!.hsm.describe().generation).toBe(3);
});
