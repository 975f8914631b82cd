import { parseDomainChange, Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken } from '@keyfleet/shared/domain/token';
import { signHeld } from '@keyfleet/shared/domain/token-check';
import { type Change, memberOf, TestClock, testSealKey } from '@keyfleet/test-support/domain';
import {
  alice,
  anchor,
  bob,
  command,
  creation,
  DAY,
  foundedReplica,
  generations,
  grownReplica,
  type LocalWorker,
  newReplica,
  type Replica,
  resetWorld,
  sealing,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { openIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { WorkerRefusedError } from './workers.ts';

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

/** It signs that it holds another token of whatever generation it is asked about. */
function liesThatItHoldsAnother(liar: LocalWorker): void {
  const { memberId } = liar.hsm;
  const tokenHash = randomBytes(32);
  const { identity } = openIdentity(liar.hsm.sealedIdentity(), testSealKey);
  liar.claims = { generation: 9, tokenHash };
  liar.check = async (token) => {
    const { generation } = parseToken(token).state;
    return signHeld({ domain: 'test', memberId, generation, tokenHash }, (message) => identity.sign(message));
  };
}

describe('a member that lies, so that the scheduled rotation is held up', () => {
  async function heldUp() {
    const replica = await grownReplica();
    liesThatItHoldsAnother(world.workers[2]!);
    world.clock.advance(DAY);
    for (let i = 0; i < 3; i++) await replica.round.run();
    expect(replica.tokens.generation).toBe(2);
    return replica;
  }

  test('is removed all the same, also by a member that is bound to its token of that rotation', async () => {
    const replica = await heldUp();
    const removal = (preparer: string) =>
      command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } }, preparer);
    await replica.proposals.propose(signed(removal('hsm-2'), [alice, bob]));
    await replica.round.run();
    // hsm-2 brought the rotation, which counts although hsm-3 denies it.
    expect(replica.tokens.generation).toBe(3);
    await replica.proposals.propose(signed(removal('hsm-2'), [alice, bob]));
    await replica.round.run();
    expect(replica.tokens.head!.state.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-2']);
  });

  test('binds one member to that rotation, and no more', async () => {
    const replica = await heldUp();
    const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } };
    await replica.proposals.propose(signed(command(replica, removal, 'hsm-1'), [alice, bob]));
    await replica.round.run();
    expect(replica.tokens.generation).toBe(3);
    expect(replica.tokens.head!.state.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-2']);
  });
});

describe('members that refuse to witness a rotation, so that its maker is bound to that', () => {
  const deny = async () => Promise.reject(new WorkerRefusedError('no'));
  const remaining = ({ tokens }: Replica) => tokens.head!.state.members.map(({ memberId }) => memberId);

  async function carryOut(replica: Replica, ...remove: string[]): Promise<void> {
    const change: Change = { name: 'ModifyMembers', body: { admit: [], remove } };
    await replica.proposals.propose(signed(command(replica, change, 'hsm-1'), [alice, bob]));
    await replica.round.run();
  }

  test.each([
    ['refuses', 0],
    ['refuses', 3 * DAY],
    ['signs that it holds another', 3 * DAY],
  ])(
    'of two: one that %s is removed by people, who sign again after that rotation (%i ms later)',
    async (how, laterMs) => {
      const replica = await foundedReplica();
      const [first, second] = world.workers;
      if (how === 'refuses') Object.assign(second!, { check: deny, prepare: deny });
      else liesThatItHoldsAnother(second!);
      world.clock.advance(DAY);
      for (let i = 0; i < 3; i++) await replica.round.run();
      expect(replica.tokens.generation).toBe(1);
      world.clock.advance(laterMs);
      await carryOut(replica, 'hsm-2');
      const { state, token } = replica.tokens.head!;
      expect([state.generation, state.domainKeys.length, remaining(replica)]).toEqual([2, 2, ['hsm-1', 'hsm-2']]);
      // Whoever reads the chain finds what people signed.
      const waiver = Proposal.decode(parseToken(token).witness!);
      expect(parseDomainChange(waiver.command)).toMatchObject({ name: 'ModifyMembers', body: { remove: ['hsm-2'] } });
      await newReplica().tokens.refresh();
      expect(first!.hsm.describe().generation).toBe(2);
      // The key of that rotation may be old by now; it is not bound to the next one before they have signed.
      for (let hours = 0; hours < 20; hours++) {
        world.clock.advance(DAY / 24);
        await replica.round.run();
      }
      await carryOut(replica, 'hsm-2');
      expect(remaining(replica)).toEqual(['hsm-1']);
      world.clock.advance(DAY);
      await replica.round.run();
      expect(replica.tokens.generation).toBe(4);
    },
  );

  test.each(['lies', 'is lost'])('of three: both are removed, of which one lies and one %s', async (how) => {
    const replica = await grownReplica();
    const [, second, third] = world.workers;
    for (const liar of [second!, third!]) Object.assign(liar, { check: deny, prepare: deny });
    if (how === 'is lost') third!.down = true;
    world.clock.advance(DAY);
    await replica.round.run();
    expect(replica.tokens.generation).toBe(2);
    // One of them is not enough: the other may be honest.
    await carryOut(replica, 'hsm-2');
    expect(replica.tokens.generation).toBe(2);
    for (let signings = 0; signings < 2; signings++) await carryOut(replica, 'hsm-2', 'hsm-3');
    expect(remaining(replica)).toEqual(['hsm-1']);
  });

  test('of three: one is removed beside one that is lost for a while, if people sign that this needs no witness', async () => {
    const replica = await grownReplica();
    const [, second, third] = world.workers;
    Object.assign(second!, { check: deny, prepare: deny });
    third!.down = true;
    world.clock.advance(DAY);
    await replica.round.run();
    const change: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } };
    for (const unwitnessed of [false, true, true]) {
      const { generation } = replica.tokens;
      await replica.proposals.propose(signed({ ...command(replica, change), unwitnessed }, [alice, bob]));
      await replica.round.run();
      expect(replica.tokens.generation).toBe(generation + (unwitnessed ? 1 : 0));
    }
    third!.down = false;
    await replica.round.run();
    expect(remaining(replica)).toEqual(['hsm-1', 'hsm-3']);
    expect(third!.hsm.describe().generation).toBe(4);
    world.clock.advance(DAY);
    await replica.round.run();
    expect(replica.tokens.generation).toBe(5);
  });
});

test('a change that was withdrawn is not carried out by the next scheduled one, unless no member makes that', async () => {
  for (const others of [true, false]) {
    resetWorld();
    const replica = await foundedReplica();
    const body = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
    const withdrawn = signed(command(replica, { name: 'ModifyMembers', body }, 'hsm-2'), [alice, bob]);
    world.workers[1]!.hsm.prepare(withdrawn, replica.tokens.head!.token);
    if (!others) world.workers[0]!.prepare = async () => Promise.reject(new Error('its disk is full'));
    world.clock.advance(DAY);
    await replica.round.run();
    expect(replica.tokens.generation).toBe(2);
    expect(replica.tokens.head!.state.members).toHaveLength(others ? 2 : 3);
  }
});
