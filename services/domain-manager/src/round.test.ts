import { Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken } from '@keyfleet/shared/domain/token';
import { createLog } from '@keyfleet/shared/log';
import { signHeld } from '@keyfleet/shared/domain/token-check';
import {
  type Change,
  memberOf,
  rotation,
  sealedForNobody,
  TestClock,
  testSealKey,
} from '@keyfleet/test-support/domain';
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
  type Replica,
  resetWorld,
  scheduler,
  sealing,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { openIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { DomainManagerEvents } from './events.ts';
import { assertOthersConfirm } from './witness.ts';
import { WorkerRefusedError } from './workers.ts';

const silentEvents = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));

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

describe('a member that lies, so that the scheduled rotation is held up', () => {
  /** hsm-3 signs that it holds another token of whatever generation it is asked about. */
  async function heldUp() {
    const replica = await foundedReplica();
    const liar = world.workers[2]!;
    const admission: Change = { name: 'ModifyMembers', body: { admit: [memberOf(liar.hsm)], remove: [] } };
    await replica.proposals.propose(signed(command(replica, admission), [alice, bob]));
    for (let i = 0; i < 3; i++) await replica.round.run();
    const tokenHash = randomBytes(32);
    const { identity } = openIdentity(liar.hsm.sealedIdentity(), testSealKey);
    liar.claims = { generation: 3, tokenHash };
    liar.check = async (token) => {
      const held = { domain: 'test', memberId: 'hsm-3', generation: parseToken(token).state.generation, tokenHash };
      return signHeld(held, (message) => identity.sign(message));
    };
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

describe('removals that leave one member alone', () => {
  const deny = async () => Promise.reject(new WorkerRefusedError('no'));
  const remaining = ({ tokens }: Replica) => tokens.head!.state.members.map(({ memberId }) => memberId);
  const removalOf = (replica: Replica, ...remove: string[]) =>
    replica.proposals.propose(
      signed(command(replica, { name: 'ModifyMembers', body: { admit: [], remove } }, 'hsm-1'), [alice, bob]),
    );

  test.each(['lies', 'is lost'])(
    'of one that lies, and one that %s, are made by a member that a rotation binds',
    async (how) => {
      const replica = await foundedReplica();
      const [first, second, third] = world.workers;
      const admission: Change = { name: 'ModifyMembers', body: { admit: [memberOf(third!.hsm)], remove: [] } };
      await replica.proposals.propose(signed(command(replica, admission), [alice, bob]));
      for (let i = 0; i < 3; i++) await replica.round.run();
      for (const liar of [second!, third!]) Object.assign(liar, { check: deny, prepare: deny });
      if (how === 'is lost') third!.down = true;
      world.clock.advance(DAY);
      await replica.round.run();
      expect(replica.tokens.generation).toBe(2);
      // One of them is not enough: the other may be honest.
      await removalOf(replica, 'hsm-2');
      await replica.round.run();
      expect(replica.tokens.generation).toBe(2);
      for (let signings = 0; signings < 2; signings++) {
        await removalOf(replica, 'hsm-2', 'hsm-3');
        await replica.round.run();
      }
      expect(remaining(replica)).toEqual([first!.hsm.memberId]);
    },
  );

  test('do not let it bring what those who leave deny, if it is to admit others as well', async () => {
    const replica = await foundedReplica();
    const [hostile, honest, fresh] = world.workers;
    world.clock.advance(DAY / 2);
    const rotated = signed(command(replica, rotation, 'hsm-1'), [scheduler]);
    const made = hostile!.hsm.prepare(rotated, replica.tokens.head!.token);
    const { identity } = openIdentity(hostile!.hsm.sealedIdentity(), testSealKey);
    hostile!.forged = await sealedForNobody(made, (body) => identity.sign(body));
    const body = { admit: [memberOf(fresh!.hsm)], remove: ['hsm-2'] };
    await replica.proposals.propose(signed(command(replica, { name: 'ModifyMembers', body }), [alice, bob]));
    for (let i = 0; i < 3; i++) await replica.round.run();
    // Whoever is in reach of the honest one could have it compared: it is not asked for.
    expect(replica.tokens.generation).toBe(1);
    await replica.tokens
      .append(hostile!.forged, (next) =>
        assertOthersConfirm(next, { ...replica, workers: world.workers, events: silentEvents, clock: world.clock }),
      )
      .catch(() => {});
    expect([replica.tokens.generation, honest!.hsm.describe().generation]).toEqual([1, 1]);
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
