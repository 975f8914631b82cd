import { Proposal } from '@keyfleet/shared/domain/proposal';
import { memberOf } from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  foundedReplica,
  generations,
  LocalWorker,
  type Replica,
  resetWorld,
  scheduler,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';
import { scheduled } from './scheduled-changes.ts';

beforeEach(resetWorld);

/** What whoever has the scheduler's key and reaches the first member's port has it make. */
function hiddenRotation({ tokens }: Replica): Promise<Buffer> {
  world.clock.advance(3_600_000);
  const { head } = tokens;
  const change = { name: 'RotateDomainKeys', body: {} } as const;
  const proposal = scheduled(head!, { change, scheduler, preparer: 'hsm-1' });
  return world.workers[0]!.prepare(Proposal.encode(proposal), head!.token);
}

describe('a domain token that members were brought and that was stored nowhere', () => {
  test.each([
    ['one member', 1],
    ['all', 2],
  ])('is stored where %s of two has it, and the next change follows it', async (_, holders) => {
    const replica = await foundedReplica();
    const hidden = await hiddenRotation(replica);
    for (const worker of world.workers.slice(0, holders)) await worker.install([hidden]);
    await replica.round.run();
    expect(replica.tokens.head!.token).toEqual(hidden);
    expect(generations()).toEqual([2, 2]);
    const admit = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
    await replica.proposals.propose(signed(command(replica, { name: 'ModifyMembers', body: admit }), [alice, bob]));
    await replica.round.run();
    expect(generations()).toEqual([3, 3]);
  });

  test('is stored where all have it and were started again since', async () => {
    const replica = await foundedReplica();
    const hidden = await hiddenRotation(replica);
    for (const [i, { hsm }] of world.workers.slice(0, 2).entries()) {
      hsm.install([hidden]);
      const restarted = new LocalWorker(hsm.memberId, world.clock, { sealedIdentity: hsm.sealedIdentity() });
      restarted.gives = hidden;
      world.workers[i] = restarted;
    }
    await replica.round.run();
    await replica.round.run();
    expect(replica.tokens.generation).toBe(2);
    expect(world.workers.slice(0, 2).map(({ hsm }) => hsm.installed?.state.generation)).toEqual([2, 2]);
  });

  test('is asked for once a minute of a member that gives none, and delays nothing', async () => {
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
