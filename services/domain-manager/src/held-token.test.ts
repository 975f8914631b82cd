import { HELD_TOKENS } from '@keyfleet/hsm-worker/boundary/domain/held-chain';
import { Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { type Change, memberOf, newOperator, publicPart, rotation } from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  DAY,
  foundedReplica,
  generations,
  grownReplica,
  newReplica,
  type Replica,
  resetWorld,
  scheduler,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';
import { scheduled } from './scheduled-changes.ts';
import { MemoryStore } from './store/memory-store.ts';
import type { Head } from './token-log.ts';
import type { Worker } from './workers.ts';

beforeEach(resetWorld);

/**
 * What whoever has the scheduler's key and the members' ports has the first make, and the second witness: each follows
 * the one before, and both have all but the last.
 */
async function hiddenRotations({ tokens }: Replica, count: number): Promise<readonly Buffer[]> {
  const [maker, witness] = world.workers;
  const made: Buffer[] = [];
  for (let head: Pick<Head, 'state' | 'hash' | 'token'> = tokens.head!; made.length < count;) {
    world.clock.advance(3_600_000);
    const change = { name: 'RotateDomainKeys', body: {} } as const;
    const proposal = scheduled(head as Head, { change, scheduler, preparer: 'hsm-1' });
    const own = parseToken(await maker!.prepare(Proposal.encode(proposal), head.token));
    const token = withWitness(own, await witness!.check(own.made));
    made.push(token);
    if (made.length < count) await installBy(2, [token]);
    head = { ...parseToken(token), token };
  }
  return made;
}

async function installBy(members: number, tokens: readonly Buffer[]): Promise<void> {
  for (const worker of world.workers.slice(0, members)) await worker.install(tokens);
}

function restartAll(): void {
  for (const [i, worker] of world.workers.entries()) world.workers[i] = worker.restarted();
}

describe('domain tokens that members were brought and that were stored nowhere', () => {
  test.each([
    ['one', 'one member', 1, 1],
    ['one', 'all', 1, 2],
    ['two in a row', 'one member', 2, 1],
    ['two in a row', 'all', 2, 2],
    ['as many as members keep', 'all', HELD_TOKENS, 2],
  ])('are stored, %s where %s of two has them, and the next change follows', async (_, __, count, holders) => {
    const replica = await foundedReplica();
    const hidden = await hiddenRotations(replica, count);
    await installBy(holders, hidden);
    for (let i = 0; i <= count; i++) await replica.round.run();
    expect(replica.tokens.head!.token).toEqual(hidden.at(-1));
    expect(generations()).toEqual([count + 1, count + 1]);
    const admit = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
    await replica.proposals.propose(signed(command(replica, { name: 'ModifyMembers', body: admit }), [alice, bob]));
    await replica.round.run();
    expect(generations()).toEqual([count + 2, count + 2]);
  });

  test.each([1, 3])('are stored where all have %i and were started again since', async (count) => {
    const replica = await foundedReplica();
    await installBy(2, await hiddenRotations(replica, count));
    restartAll();
    for (let i = 0; i <= count; i++) await replica.round.run();
    expect(replica.tokens.generation).toBe(count + 1);
    const installed = world.workers.slice(0, 2).map(({ hsm }) => hsm.installed?.state.generation);
    expect(installed).toEqual([count + 1, count + 1]);
  });

  test('are not where the store has none, which may be any store, until somebody puts the first there', async () => {
    const replica = await foundedReplica();
    for (let i = 0; i < 3; i++) {
      world.clock.advance(DAY + 61_000);
      await replica.round.run();
    }
    const all = await world.store.loadTokens(0, 9);
    expect(all).toHaveLength(4);
    world.store = new MemoryStore(world.clock);
    const { round } = newReplica();
    await round.run();
    expect(await world.store.loadTokens(0, 9)).toEqual([]);
    await world.store.appendToken(1, all[0]!);
    await round.run();
    expect(await world.store.loadTokens(0, 9)).toEqual(all);
  });

  test('are not where a member proves that it holds another', async () => {
    const replica = await grownReplica();
    const [maker, witness, other] = world.workers;
    const { token } = replica.tokens.head!;
    const prepared = async (worker: Worker, preparer: string, by: Worker) => {
      const own = parseToken(await worker.prepare(signed(command(replica, rotation, preparer), [alice, bob]), token));
      return withWitness(own, await by.check(own.made));
    };
    const fork = await prepared(maker!, 'hsm-1', witness!);
    const hidden = await prepared(witness!, 'hsm-2', other!);
    for (const [worker, has] of [
      [maker!, fork],
      [other!, hidden],
    ] as const)
      await worker.install([has]);
    await replica.round.run();
    expect([maker!.given, other!.given, replica.tokens.generation]).toEqual([1, 1, 2]);
    // Once a quorum has signed that it is to leave, the word of one of them is none.
    const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } };
    await replica.proposals.propose(signed(command(replica, removal, 'hsm-2'), [alice, bob]));
    world.clock.advance(60_000);
    await replica.round.run();
    expect(replica.tokens.head!.token).toEqual(hidden);
  });

  test('are given by one that only these admitted, where all from before are lost: the store went back', async () => {
    const replica = await grownReplica();
    const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1', 'hsm-2'] } };
    await replica.proposals.propose(signed(command(replica, removal, 'hsm-3'), [alice, bob]));
    for (let i = 0; i < 2; i++) await replica.round.run();
    const all = await world.store.loadTokens(0, 9);
    expect(all).toHaveLength(3);
    world.store = new MemoryStore(world.clock);
    await world.store.appendToken(1, all[0]!);
    for (const worker of world.workers.slice(0, 2)) worker.down = true;
    const { round } = newReplica();
    world.workers[2]!.gives = Buffer.of();
    await round.run();
    expect(round.views[2]).toMatchObject({ problem: 'holds generation 3, the store only 1: restore the store' });
    world.workers[2]!.gives = undefined;
    world.clock.advance(60_000);
    await round.run();
    expect(await world.store.loadTokens(0, 9)).toEqual(all);
    expect(round.views[2]).toMatchObject({ standing: 'member' });
  });

  test('all come back before anything is made in the place of one, such as a removal', async () => {
    const replica = await grownReplica();
    const [first, , third] = world.workers;
    const carryOut = async (change: Change, preparer: string): Promise<void> => {
      await replica.proposals.propose(signed(command(replica, change, preparer), [alice, bob]));
      await replica.round.run();
    };
    const frontend = publicPart(newOperator('frontend-1', 'service-host'));
    await carryOut({ name: 'ModifyOperators', body: { admit: [frontend], remove: [] } }, 'hsm-1');
    third!.down = true;
    await carryOut({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } }, 'hsm-3');
    first!.installFails = true;
    await carryOut({ name: 'ModifyOperators', body: { admit: [], remove: ['frontend-1'] } }, 'hsm-2');
    const all = await world.store.loadTokens(0, 9);
    expect(all).toHaveLength(4);
    // hsm-2 alone has the removal of the frontend, and is to leave by what hsm-3 makes.
    Object.assign(first!, { installFails: false });
    Object.assign(third!, { down: false });
    const before = world.store;
    world.store = new MemoryStore(world.clock);
    for (const [i, token] of all.slice(0, 2).entries()) await world.store.appendToken(i + 1, token);
    for (const proposal of await before.listProposals()) await world.store.putProposal(proposal, 64);
    const { round, tokens } = newReplica();
    await round.run();
    expect((await world.store.loadTokens(0, 4)).at(-1)).toEqual(all[3]);
    expect(tokens.head!.state.operators.map(({ operatorId }) => operatorId)).not.toContain('frontend-1');
  });

  test('are replaced by nothing that a scheduler asks for which they removed, though nobody gives them', async () => {
    const replica = await grownReplica();
    const [first, second, holder] = world.workers;
    for (const worker of [first!, second!]) worker.installFails = true;
    const body = { admit: [publicPart(newOperator('scheduler-2', 'scheduler'))], remove: [scheduler.operatorId] };
    const change: Change = { name: 'ModifyOperators', body };
    await replica.proposals.propose(signed(command(replica, change, 'hsm-3'), [alice, bob]));
    await replica.round.run();
    const all = await world.store.loadTokens(0, 9);
    expect([all.length, ...world.workers.map(({ hsm }) => hsm.state!.generation)]).toEqual([3, 2, 2, 3]);
    for (const worker of [first!, second!]) worker.installFails = false;
    world.store = new MemoryStore(world.clock);
    for (const [i, token] of all.slice(0, 2).entries()) await world.store.appendToken(i + 1, token);
    holder!.gives = Buffer.of();
    // A rotation is due, which the two others would make and confirm.
    world.clock.advance(DAY);
    const { round, tokens } = newReplica();
    for (let i = 0; i < 3; i++) await round.run();
    expect(tokens.generation).toBe(2);
    holder!.gives = undefined;
    world.clock.advance(60_000);
    await round.run();
    expect(await world.store.loadTokens(0, 9)).toEqual(all);
  });

  test('are asked for once a minute of a member that gives none, and delay nothing', async () => {
    const replica = await foundedReplica();
    const liar = world.workers[1]!;
    liar.claims = { generation: 2 };
    liar.gives = Buffer.from('no token');
    for (let second = 0; second < 120; second++) {
      await replica.round.run();
      world.clock.advance(1000);
    }
    expect(liar.given).toBe(2);
    expect(replica.tokens.generation).toBe(1);
  });
});
