import { CHANGEOVER_MS, type NewMember } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { newIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { type Change, memberOf, sealedNotFor, TestClock, testSealKey } from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  DAY,
  foundedReplica,
  generations,
  grownReplica,
  LocalWorker,
  newReplica,
  resetWorld,
  sealing,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';

beforeEach(resetWorld);

describe('rotation', () => {
  test('the scheduler rotates when the active key is old enough, once', async () => {
    const { round } = await foundedReplica();
    world.clock.advance(DAY - 1);
    await round.run();
    expect(generations()).toEqual([1, 1]);
    world.clock.advance(1);
    await round.run();
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(sealing()).toEqual([2, 2]);
    expect(world.published).toEqual([1, 2]);
  });

  test('where clocks are ahead together by more than an outage explains, nothing is made that is dated ahead', async () => {
    const replica = await grownReplica();
    const { round, tokens, proposals } = replica;
    const right = world.clock.now();
    for (const days of [9, 365]) {
      world.clock.time = right + days * DAY;
      await round.run();
      expect(tokens.generation).toBe(2);
    }
    world.clock.time = right + DAY;
    await round.run();
    expect(tokens.generation).toBe(3);

    world.clock.advance(8 * DAY);
    await round.run();
    expect(tokens.generation).toBe(4);
    // People, who have looked at the clock.
    world.clock.advance(9 * DAY);
    await round.run();
    expect(tokens.generation).toBe(4);
    await proposals.propose(signed(command(replica, { name: 'RotateDomainKeys', body: {} }), [alice, bob]));
    await round.run();
    expect(tokens.generation).toBe(5);
  });

  test('no member seals under the new key before every reachable member holds it', async () => {
    const { round } = await foundedReplica();
    world.workers[1]!.installFails = true;
    world.clock.advance(DAY);
    await round.run();
    expect(generations()).toEqual([2, 1]);
    expect(sealing()).toEqual([1, 1]);

    world.workers[1]!.installFails = false;
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(sealing()).toEqual([2, 2]);
  });

  test('a rotation that a member does not take delays the next one for ten minutes, and no longer', async () => {
    const { round } = await grownReplica();
    world.workers[1]!.installFails = true;
    world.clock.advance(2 * DAY);
    await round.run();
    expect(generations()).toEqual([3, 2]);
    world.clock.advance(DAY);
    await round.run();
    expect(generations()).toEqual([4, 2]);
  });

  test('a clock that is set forward, or a suspended machine, makes those ten minutes no shorter', async () => {
    const running = new TestClock();
    world.monotonicClock = running;
    const { round } = await grownReplica();
    world.workers[1]!.installFails = true;
    world.clock.advance(2 * DAY);
    await round.run();
    world.clock.advance(DAY);
    await round.run();
    running.advance(CHANGEOVER_MS - 1);
    await round.run();
    expect([generations(), world.asked, world.late]).toEqual([[3, 2], [], []]);
    running.advance(1);
    await round.run();
    expect(generations()).toEqual([4, 2]);
  });

  test('a member that was away for several rotations catches up', async () => {
    const { round } = await grownReplica();
    world.workers[1]!.down = true;
    for (let day = 0; day < 3; day++) {
      world.clock.advance(DAY);
      await round.run();
    }
    expect(sealing()).toEqual([5, 1]);
    world.workers[1]!.down = false;
    await round.run();
    expect(generations()).toEqual([5, 5]);
    expect(sealing()).toEqual([5, 5]);
  });

  test('a replica that dies after the token is stored leaves the rest to the next leader', async () => {
    await foundedReplica();
    for (const worker of world.workers) worker.installFails = true;
    world.clock.advance(DAY);
    await newReplica().round.run();
    expect(generations()).toEqual([1, 1]);
    for (const worker of world.workers) worker.installFails = false;
    await newReplica().round.run();
    expect(generations()).toEqual([2, 2]);
    expect(sealing()).toEqual([2, 2]);
  });

  test('members take turns in making the tokens, and one in reach alone makes none: nobody could witness it', async () => {
    const { round, tokens } = await grownReplica();
    const makers: string[] = [];
    const rotate = async () => {
      world.clock.advance(DAY);
      await round.run();
      makers.push(`${tokens.generation} ${parseToken(tokens.head!.token).signerId}`);
    };
    for (let day = 0; day < 4; day++) await rotate();
    expect(makers.splice(0)).toEqual(['3 hsm-2', '4 hsm-3', '5 hsm-1', '6 hsm-2']);
    world.workers[2]!.down = true;
    for (let day = 0; day < 2; day++) await rotate();
    expect(makers.splice(0)).toEqual(['7 hsm-1', '8 hsm-2']);
    world.workers[0]!.down = true;
    await rotate();
    world.workers.splice(2, 1);
    world.workers.splice(0, 1);
    await rotate();
    expect(makers).toEqual(['8 hsm-2', '8 hsm-2']);
  });

  test('a worker that is the only member makes all tokens, and so does one beside an offline member', async () => {
    const { round, tokens, proposals } = await foundedReplica();
    const carryOut = async (admit: readonly NewMember[], remove: readonly string[]) => {
      const change: Change = { name: 'ModifyMembers', body: { admit: [...admit], remove: [...remove] } };
      await proposals.propose(signed(command({ tokens }, change), [alice, bob]));
      await round.run();
    };
    await carryOut([], ['hsm-2']);
    await carryOut([{ ...memberOf(world.workers[2]!.hsm), offline: true }], []);
    world.workers.splice(1);
    for (let day = 0; day < 2; day++) {
      world.clock.advance(DAY);
      await round.run();
    }
    expect(tokens.generation).toBe(5);
    expect(parseToken(tokens.head!.token)).toMatchObject({ signerId: 'hsm-1', witness: undefined });
  });

  test('a token that its maker sealed wrongly for one member is refused, and the next in turn makes it', async () => {
    const evil = newIdentity('hsm-2');
    const hostile = new LocalWorker('hsm-2', world.clock, { sealedIdentity: evil.seal(testSealKey) });
    const make = hostile.prepare.bind(hostile);
    hostile.prepare = async (proposal, current) => sealedNotFor(['hsm-1'], await make(proposal, current), evil);
    world.workers[1] = hostile;
    const { round, tokens } = await grownReplica();
    world.clock.advance(DAY);
    await round.run();
    expect(parseToken(tokens.head!.token).signerId).toBe('hsm-3');
    expect(world.workers.map(({ hsm }) => hsm.describe().generation)).toEqual([3, 3, 3]);
  });

  test('two replicas that both believe they lead make one token a day', async () => {
    const replicas = [await foundedReplica(), newReplica()];
    for (let day = 2; day <= 6; day++) {
      world.clock.advance(DAY);
      await Promise.all(replicas.map(({ round }) => round.run()));
      await Promise.all(replicas.map(({ round }) => round.run()));
      expect(generations()).toEqual([day, day]);
    }
    expect(await world.store.loadTokens(0, 99)).toHaveLength(6);
  });
});

test('a preparer that dates its tokens back makes the domain-manager rotate no more often', async () => {
  world.workers[1] = new LocalWorker('hsm-2', new TestClock(), { rotationPauseMs: 0 });
  const replica = await foundedReplica();
  world.clock.advance(DAY);
  for (let i = 0; i < 5; i++) await replica.round.run();
  expect(replica.tokens.generation).toBe(2);
  world.clock.advance(DAY);
  for (let i = 0; i < 5; i++) await replica.round.run();
  expect(replica.tokens.generation).toBe(3);
});
