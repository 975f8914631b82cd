import { domainKeysToRetire } from '@keyfleet/shared/domain/state';
import { parseToken, tokenHash } from '@keyfleet/shared/domain/token';
import { SignedMessage } from '@keyfleet/shared/hsm/session';
import { openIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import {
  type Change,
  memberOf,
  newOperator,
  rotation,
  sealedForNobody,
  testRules,
  testSealKey,
} from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  DAY,
  domainKeys,
  foundedReplica,
  generations,
  grownReplica,
  newReplica,
  resetWorld,
  rotated,
  scheduler,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';

beforeEach(resetWorld);

describe('a change that is carried out', () => {
  test('a member that a quorum tells to leave erases itself, once', async () => {
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const leave = command(replica, { name: 'LeaveDomain', body: { memberId: 'hsm-2' } }, 'hsm-2');
    const { proposalId } = await proposals.propose(signed(leave, [alice, bob]));
    world.workers[1]!.down = true;
    await round.run();
    expect(proposals.standingOf((await world.store.findProposal(proposalId))!).standing).toBe('ready');
    world.workers[1]!.down = false;
    await round.run();
    expect(proposals.standingOf((await world.store.findProposal(proposalId))!).standing).toBe('done');
    const fresh = world.workers[1]!.hsm.describe();
    expect(fresh).toMatchObject({ memberId: 'hsm-2', domain: '', activeGeneration: 0 });
    await round.run();
    expect(world.workers[1]!.hsm.describe().signingKey).toEqual(fresh.signingKey);
    expect(world.workers[0]!.hsm.describe().activeGeneration).toBe(1);
  });

  test('a store that calls a proposal done keeps no member in', async () => {
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } }, 'hsm-1');
    const removed = await proposals.propose(signed(removal, [alice, bob]));
    await world.store.setDone(removed.proposalId);
    expect(proposals.standingOf((await world.store.findProposal(removed.proposalId))!).standing).toBe('ready');
    await round.run();
    expect(generations()[0]).toBe(2);

    const leave = command(replica, { name: 'LeaveDomain', body: { memberId: 'hsm-2' } }, 'hsm-2');
    const left = await proposals.propose(signed(leave, [alice, bob]));
    await world.store.setDone(left.proposalId);
    await round.run();
    expect(world.workers[1]!.hsm.describe()).toMatchObject({ memberId: 'hsm-2', domain: '', activeGeneration: 0 });
  });

  test('a member that claims to take its tokens one by one, and slowly, holds up its removal for a minute at most', async () => {
    const replica = await foundedReplica();
    for (let day = 0; day < 6; day++) {
      world.clock.advance(DAY);
      await replica.round.run();
    }
    const { proposals, round, tokens } = replica;
    const liar = world.workers[1]!;
    let claimed = 0;
    const said = () => ({ ...liar.hsm.describe(), generation: claimed, activeGeneration: 0 });
    Object.assign(liar, {
      describe: async () => ({ ...said(), generation: (claimed = 0) }),
      // Just within the 30 s that a domain-manager waits for it.
      install: async () => (world.clock.advance(29_000), claimed++, said()),
    });
    const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    await proposals.propose(signed(removal, [alice, bob]));
    const from = world.clock.now();
    await round.run();
    const { members, madeAt } = tokens.head!.state;
    expect(members.map(({ memberId }) => memberId)).toEqual(['hsm-1']);
    expect(madeAt - from).toBeLessThan(60_000);
    expect(world.clock.now() - from).toBeLessThan(120_000);
  });

  test('proposals that wait for a member that is away cost no round more than one does', async () => {
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    let surveys = 0;
    for (const worker of world.workers) {
      const describe = worker.describe.bind(worker);
      worker.describe = async () => (surveys++, describe());
    }
    const countedRound = async () => {
      surveys = 0;
      await round.run();
      return surveys;
    };
    world.workers[1]!.down = true;
    const changes: Change[] = [20, 30, 40, 50].map((backupHorizonMs) => ({
      name: 'ModifyRules',
      body: { rules: testRules, backupHorizonMs },
    }));
    const [first, ...others] = changes.map((change) => signed(command(replica, change, 'hsm-2'), [alice, bob]));
    await proposals.propose(first!);
    const withOne = await countedRound();
    for (const other of others) await proposals.propose(other);
    expect(await countedRound()).toBe(withOne);
  });

  test('a worker that says it is another keeps that one from nothing that it is told', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const [liar, honest] = world.workers;
    liar!.claims = memberOf(honest!.hsm);
    const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } }, 'hsm-2');
    await proposals.propose(signed(removal, [alice, bob]));
    await round.run();
    expect(tokens.head!.state.members.map(({ memberId }) => memberId)).toEqual(['hsm-2']);

    const leave = command(replica, { name: 'LeaveDomain', body: { memberId: 'hsm-2' } }, 'hsm-2');
    await proposals.propose(signed(leave, [alice, bob]));
    await round.run();
    expect(honest!.hsm.describe()).toMatchObject({ memberId: 'hsm-2', domain: '' });
  });

  test('a token that no other member can open is not stored, and another member is asked', async () => {
    const replica = await foundedReplica();
    const { round, tokens } = replica;
    const hostile = world.workers[1]!;
    const honest = hostile.hsm.prepare(signed(command(replica, rotation, 'hsm-2'), [alice, bob]), tokens.head!.token);
    hostile.forged = await sealedForNobody(
      honest,
      async (body) => SignedMessage.decode(await hostile.hsm.signMessage(body)).signature,
    );
    world.clock.advance(DAY);
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(parseToken(tokens.head!.token).signerId).toBe('hsm-1');
  });

  test('is not made while nobody is in reach who could witness it, unless those who may change the members sign that it need not', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const [first, second] = world.workers;
    second!.down = true;
    let made = 0;
    const prepare = first!.prepare.bind(first);
    first!.prepare = async (...about) => (made++, prepare(...about));
    world.clock.advance(DAY);
    const change = command(replica, rotation, 'hsm-1');
    for (const signers of [[scheduler], [alice, bob]]) {
      await proposals.propose(signed(change, signers));
      await round.run();
      expect([tokens.generation, made]).toEqual([1, 0]);
    }
    const unwitnessed = { ...change, unwitnessed: true };
    for (const signers of [[scheduler], [alice]]) {
      const stored = await proposals.propose(signed(unwitnessed, signers));
      expect(proposals.standingOf(stored).standing).toBe('collecting');
      await round.run();
      expect([tokens.generation, made]).toEqual([1, 0]);
    }
    await proposals.propose(signed(unwitnessed, [bob]));
    await round.run();
    expect(tokens.generation).toBe(2);
    expect(parseToken(tokens.head!.token).witness).toBeUndefined();
  });

  test('is stored by the next domain-manager, if one ends between the check and the store', async () => {
    const replica = await foundedReplica();
    const [first] = world.workers;
    const proposal = signed(command(replica, rotation, 'hsm-1'), [alice, bob]);
    await replica.proposals.propose(proposal);
    const { store } = world;
    const appendToken = store.appendToken.bind(store);
    const lost: Uint8Array[] = [];
    store.appendToken = async (_, token) => (lost.push(token), Promise.reject(new Error('killed')));
    await replica.round.run();
    store.appendToken = appendToken;
    expect([lost.length, ...generations()]).toEqual([1, 1, 1]);
    const { round, tokens } = newReplica();
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(tokens.head!.hash).toEqual(tokenHash(lost[0]!));
    expect(tokens.head!.hash).toEqual(first!.hsm.describe().tokenHash);
  });

  test('what was withdrawn, or has expired, is not carried out by a later change whose preparer has made its token', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const [first, , fresh] = world.workers;
    const admission: Change = { name: 'ModifyMembers', body: { admit: [memberOf(fresh!.hsm)], remove: [] } };
    first!.hsm.prepare(signed(command(replica, admission), [alice, bob]), tokens.head!.token);
    const { proposalId: id } = await proposals.propose(signed(command(replica, rotation, 'hsm-1'), [alice, bob]));
    await round.run();
    expect(tokens.generation).toBe(1);
    expect((await world.store.findProposal(id))!.failure).toMatch(/another change for this generation.*--preparer/);
    await proposals.propose(signed(command(replica, rotation, 'hsm-2'), [alice, bob]));
    await round.run();
    expect(tokens.head!.state.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-2']);
    expect(tokens.generation).toBe(2);
  });

  test('nor is a withdrawn retirement that people alone may sign, because machines may sign others', async () => {
    const replica = await rotated();
    const { proposals, round, tokens } = replica;
    const [old] = tokens.head!.state.domainKeys;
    const retirement: Change = { name: 'RetireDomainKeys', body: { ids: [old!.id] } };
    const [first] = world.workers;
    first!.hsm.prepare(signed(command(replica, retirement), [alice, bob]), tokens.head!.token);
    const { proposalId: id } = await proposals.propose(signed(command(replica, rotation, 'hsm-1'), [alice, bob]));
    await round.run();
    expect(domainKeys(replica)).toEqual(['1 deactivated', '2 active']);
    expect((await world.store.findProposal(id))!.failure).toMatch(/another change for this generation/);
  });

  test('a member that had made what machines signed before the others went away brings it for what needs no witness', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const [first, second] = world.workers;
    world.clock.advance(DAY / 2);
    first!.hsm.prepare(signed(command(replica, rotation, 'hsm-1'), [scheduler]), tokens.head!.token);
    second!.down = true;
    const change: Change = { name: 'ModifyOperators', body: { admit: [newOperator('carla')], remove: [] } };
    const propose = () =>
      proposals.propose(signed({ ...command(replica, change, 'hsm-1'), unwitnessed: true }, [alice, bob]));
    await propose();
    await round.run();
    expect(tokens.generation).toBe(2);
    expect(tokens.head!.state.operators.map(({ operatorId }) => operatorId)).not.toContain('carla');
    await propose();
    await round.run();
    expect(tokens.head!.state.operators.map(({ operatorId }) => operatorId)).toContain('carla');
  });

  test('members that machines alone have bound, each to a retirement, bring it, and then do what people sign', async () => {
    const replica = await grownReplica();
    const { proposals, round, tokens } = replica;
    const propose = async (change: Change) => {
      await proposals.propose(signed(command(replica, change, 'hsm-1'), [alice, bob]));
      await round.run();
    };
    await propose({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
    const { generation } = tokens;
    const ids = domainKeysToRetire(tokens.head!.state).map(({ id }) => id);
    for (const { hsm } of world.workers.slice(0, 2)) {
      const retirement: Change = { name: 'RetireDomainKeys', body: { ids } };
      hsm.prepare(signed(command(replica, retirement, hsm.memberId), [scheduler]), tokens.head!.token);
    }
    const modify: Change = { name: 'ModifyOperators', body: { admit: [newOperator('carla')], remove: [] } };
    await propose(modify);
    expect(tokens.generation).toBe(generation + 1);
    await propose(modify);
    expect(tokens.head!.state.operators.map(({ operatorId }) => operatorId)).toContain('carla');
  });

  test('after a power failure the first member that answers makes no rotation that nobody witnesses', async () => {
    const replica = await grownReplica();
    const [first, second, hostile] = world.workers;
    const { identity } = openIdentity(hostile!.hsm.sealedIdentity(), testSealKey);
    const prepare = hostile!.prepare.bind(hostile);
    hostile!.prepare = async (...about) => sealedForNobody(await prepare(...about), (body) => identity.sign(body));
    for (const worker of [first!, second!]) worker.down = true;
    world.clock.advance(DAY);
    const { round, tokens } = newReplica();
    for (let i = 0; i < 3; i++) await round.run();
    expect(tokens.generation).toBe(2);
    // It has had one made before, and says that it holds it.
    const ahead = hostile!.hsm.prepare(signed(command(replica, rotation, 'hsm-3'), [scheduler]), tokens.head!.token);
    hostile!.claims = { generation: 3, tokenHash: tokenHash(ahead) };
    hostile!.gives = await sealedForNobody(ahead, (body) => identity.sign(body));
    await round.run();
    expect([tokens.generation, hostile!.given]).toEqual([2, 1]);
    Object.assign(hostile!, { claims: {}, gives: undefined });
    for (const worker of [first!, second!]) worker.down = false;
    for (let i = 0; i < 3; i++) await round.run();
    expect(generations()).toEqual([3, 3]);
    expect(parseToken(tokens.head!.token).signerId).not.toBe('hsm-3');
  });

  test('a token that does not verify is not stored, whoever made it, and another member is asked', async () => {
    const { proposals, round, tokens } = await foundedReplica();
    world.workers[1]!.forged = Buffer.from(tokens.head!.token);
    world.clock.advance(DAY);
    await round.run();
    expect(tokens.generation).toBe(2);
    expect(generations()).toEqual([2, 2]);
    expect(await proposals.list()).toHaveLength(1);
  });
});
