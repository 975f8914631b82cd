import { CHANGEOVER_MS } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { newIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { memberOf, sealedNotFor, TestClock, testSealKey } from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  DAY,
  foundedReplica,
  generations,
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
    const { round } = await foundedReplica();
    world.workers[1]!.installFails = true;
    world.clock.advance(2 * DAY);
    await round.run();
    expect(generations()).toEqual([2, 1]);
    world.clock.advance(DAY);
    await round.run();
    expect(generations()).toEqual([3, 1]);
  });

  test('a clock that is set forward, or a suspended machine, makes those ten minutes no shorter', async () => {
    const running = new TestClock();
    world.monotonicClock = running;
    const { round } = await foundedReplica();
    world.workers[1]!.installFails = true;
    world.clock.advance(2 * DAY);
    await round.run();
    world.clock.advance(DAY);
    await round.run();
    running.advance(CHANGEOVER_MS - 1);
    await round.run();
    expect([generations(), world.asked, world.late]).toEqual([[2, 1], [], []]);
    running.advance(1);
    await round.run();
    expect(generations()).toEqual([3, 1]);
  });

  test('a member that was away for several rotations catches up', async () => {
    const { round, tokens, proposals } = await foundedReplica();
    const body = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
    await proposals.propose(signed(command({ tokens }, { name: 'ModifyMembers', body }), [alice, bob]));
    for (let i = 0; i < 3; i++) await round.run();
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

  test('members take turns in making the tokens, and a worker alone makes all', async () => {
    const { round, tokens, ...replica } = await foundedReplica();
    const body = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
    await replica.proposals.propose(signed(command({ tokens }, { name: 'ModifyMembers', body }), [alice, bob]));
    await round.run();
    const makers: string[] = [];
    const rotate = async () => {
      world.clock.advance(DAY);
      await round.run();
      makers.push(parseToken(tokens.head!.token).signerId);
    };
    for (let day = 0; day < 4; day++) await rotate();
    expect(makers.splice(0)).toEqual(['hsm-2', 'hsm-3', 'hsm-1', 'hsm-2']);
    world.workers[2]!.down = true;
    for (let day = 0; day < 2; day++) await rotate();
    expect(makers.splice(0)).toEqual(['hsm-1', 'hsm-2']);
    // One that does not answer might be there to check the token.
    world.workers[0]!.down = true;
    await rotate();
    expect(tokens.generation).toBe(8);
    world.workers.splice(2, 1);
    world.workers.splice(0, 1);
    makers.splice(0);
    for (let day = 0; day < 2; day++) await rotate();
    expect(makers).toEqual(['hsm-2', 'hsm-2']);
  });

  test('a token that its maker sealed wrongly for one member is refused, and the next in turn makes it', async () => {
    const evil = newIdentity('hsm-2');
    const hostile = new LocalWorker('hsm-2', world.clock, { sealedIdentity: evil.seal(testSealKey) });
    const make = hostile.prepare.bind(hostile);
    hostile.prepare = async (proposal, current) => sealedNotFor(['hsm-1'], await make(proposal, current), evil);
    world.workers[1] = hostile;
    const { round, tokens, ...replica } = await foundedReplica();
    const body = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
    await replica.proposals.propose(signed(command({ tokens }, { name: 'ModifyMembers', body }), [alice, bob]));
    await round.run();
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
