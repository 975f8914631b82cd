import { Proposal } from '@keyfleet/shared/domain/proposal';
import { memberOf, TestClock, testSealKey } from '@keyfleet/test-support/domain';
import {
  alice,
  anchor,
  bob,
  command,
  creation,
  DAY,
  foundedReplica,
  generations,
  newReplica,
  resetWorld,
  sealing,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';

beforeEach(resetWorld);

describe('the ceremony', () => {
  test('the domain begins when enough founders have signed, and not before', async () => {
    const { proposals, round } = newReplica();
    const { proposalId } = await proposals.propose(signed(creation(), [alice]));
    await round.run();
    expect(generations()).toEqual([0, 0]);

    const { signatures } = Proposal.decode(signed(creation(), [bob]));
    await proposals.approve(proposalId, signatures[0]!);
    await round.run();
    expect(generations()).toEqual([1, 1]);
    expect(sealing()).toEqual([1, 1]);
    expect(world.published).toEqual([1]);
    expect(proposals.standingOf((await proposals.list())[0]!)).toEqual({ standing: 'done', generation: 1 });
  });

  test('a worker the command does not name is shown as asking to join, and gets nothing', async () => {
    const { round } = await foundedReplica();
    await round.run();
    expect(round.views.map(({ standing }) => standing)).toEqual(['member', 'member', 'asking-to-join']);
    expect(world.workers[2]!.hsm.describe().generation).toBe(0);
  });

  test('a worker with the name of a member is that member with all of its keys, and a stranger otherwise', async () => {
    const { round } = await foundedReplica();
    const other = world.workers[2]!.hsm.describe();
    for (const key of ['signingKey', 'agreementKey', 'encapsulationKey'] as const) {
      world.workers[1]!.claims = { [key]: other[key] };
      await round.run();
      expect([key, round.views[1]!.standing]).toEqual([key, 'stranger']);
      expect(round.views[1]!.problem).toContain('other keys');
    }
    world.workers[1]!.claims = {};
    await round.run();
    expect(round.views[1]!.standing).toBe('member');
  });
});

test('a removed member is sent the token that removes it', async () => {
  const replica = await foundedReplica();
  const { proposals, round } = replica;
  const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
  await proposals.propose(signed(removal, [alice, bob]));
  await round.run();
  expect(round.views[1]!.standing).toBe('removed');
  expect(world.workers[1]!.hsm.installed).toBeUndefined();
  expect(sealing()).toEqual([2, 0]);
});

test('an admitted worker gets every token there is', async () => {
  const replica = await foundedReplica();
  const { proposals, round } = replica;
  world.clock.advance(DAY);
  await round.run();
  const body = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
  await proposals.propose(signed(command(replica, { name: 'ModifyMembers', body }), [alice, bob]));
  await round.run();
  expect(world.workers[2]!.hsm.describe()).toMatchObject({ generation: 3, activeGeneration: 2 });
});

test('a token that a wrong clock dated ahead is not stored, and another member makes the next', async () => {
  const { round, tokens } = await foundedReplica();
  const fast = new TestClock();
  fast.time = world.clock.now() + 3650 * DAY;
  const sealedIdentity = world.workers[1]!.hsm.sealedIdentity();
  const hsm = new Hsm({
    memberId: 'hsm-2',
    anchor,
    sealKey: testSealKey,
    clock: fast,
    random: randomBytes,
    sealedIdentity,
  });
  hsm.install([tokens.head!.token]);
  Object.assign(world.workers[1]!, { hsm });
  world.clock.advance(DAY);
  await round.run();
  expect(tokens.head!.state.madeAt).toBe(world.clock.now());
  expect(generations()).toEqual([2, 2]);
});
