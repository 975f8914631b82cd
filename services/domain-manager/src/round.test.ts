import { Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken } from '@keyfleet/shared/domain/token';
import { SignedMessage } from '@keyfleet/shared/hsm/session';
import {
  type Change,
  memberOf,
  newOperator,
  publicPart,
  rotation,
  sealedForNobody,
  TestClock,
  testRules,
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
  resetWorld,
  sealing,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { hash, randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { MemoryStore } from './store/memory-store.ts';
import { TokenLog, TokenLogError } from './token-log.ts';

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

describe('proposals', () => {
  test('without an operator’s valid signature nothing is stored', async () => {
    const { proposals } = newReplica();
    const mallory = newOperator('mallory');
    const impostor = { ...mallory, operatorId: 'alice' };
    for (const signers of [[], [mallory], [impostor], [alice, mallory]]) {
      await expect(proposals.propose(signed(creation(), signers))).rejects.toThrow();
    }
    await expect(proposals.propose(Buffer.from('noise'))).rejects.toThrow('not a canonical');
    expect(await world.store.listProposals()).toEqual([]);
  });

  test('an operator who may not sign a domain change proposes nothing, and one operator alone leaves the others room', async () => {
    const frontend = newOperator('frontend-1', 'service-host');
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const admission = command(replica, {
      name: 'ModifyOperators',
      body: { admit: [publicPart(frontend)], remove: [] },
    });
    await proposals.propose(signed(admission, [alice, bob]));
    await round.run();

    const rules = (backupHorizonMs: number) =>
      command(replica, { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs } });
    await expect(proposals.propose(signed(rules(0), [frontend]))).rejects.toThrow('may not sign');
    const { proposalId } = await proposals.propose(signed(rules(0), [bob]));
    const [ofFrontend] = Proposal.decode(signed(rules(0), [frontend])).signatures;
    await expect(proposals.approve(proposalId, ofFrontend!)).rejects.toThrow('may not sign');

    const flood = Array.from({ length: 64 }, (_, i) => proposals.propose(signed(rules(i + 1), [alice])));
    const taken = (await Promise.allSettled(flood)).filter(({ status }) => status === 'fulfilled');
    expect(taken).toHaveLength(16);
    await expect(proposals.propose(signed(rules(65), [bob]))).resolves.toBeDefined();
  });

  test('one operator alone fills no list that the others could not read any more', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const many = Array.from({ length: 400 }, (_, i) => publicPart(newOperator(`${i}`.padStart(128, 'x'))));
    const large = (i: number) =>
      command(replica, { name: 'ModifyOperators', body: { admit: many.slice(i), remove: [] } });
    const flood = Array.from({ length: 16 }, (_, i) => proposals.propose(signed(large(i), [alice])));
    const refused = (await Promise.allSettled(flood)).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(4);
    expect(String((refused[0] as PromiseRejectedResult).reason)).toContain('nobody but alice signed');
    const size = (await proposals.list()).reduce((sum, one) => sum + one.command.length, 0);
    expect(size).toBeLessThan(1.1 * 1024 * 1024);
    await expect(proposals.propose(signed(large(0), [bob]))).resolves.toBeDefined();
  }, 30_000);

  test('to list proposals again and again verifies no signature again', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const rules = { rules: testRules, backupHorizonMs: 1 };
    await proposals.propose(signed(command(replica, { name: 'ModifyRules', body: rules }), [alice]));
    const standing = async () => proposals.standingOf((await proposals.list())[1]!);
    const first = await standing();
    expect(first.standing).toBe('collecting');
    expect(await standing()).toBe(first);
    const { signatures } = Proposal.decode(signed(command(replica, { name: 'ModifyRules', body: rules }), [bob]));
    await proposals.approve((await proposals.list())[1]!.proposalId, signatures[0]!);
    expect((await standing()).standing).toBe('ready');
  });

  test('a proposal for a generation that has passed is refused, and one that waited becomes failed', async () => {
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const rotate = command(replica, rotation);
    const rules = { rules: testRules.slice(0, 4), backupHorizonMs: 0 };
    const modify = command(replica, { name: 'ModifyRules', body: rules });
    const waiting = await proposals.propose(signed(modify, [alice]));
    await proposals.propose(signed(rotate, [alice, bob]));
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(proposals.standingOf((await world.store.findProposal(waiting.proposalId))!).standing).toBe('failed');
    await expect(proposals.propose(signed(rotate, [alice, bob]))).rejects.toThrow('generation 1');
  });

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

  test('junk among the stored proposals hides none of them', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const { proposalId } = await proposals.propose(signed(command(replica, rotation), [alice]));
    const genuine = (await world.store.findProposal(proposalId))!;
    const bogus = [
      { ...genuine, proposalId: 'ab'.repeat(32) },
      { ...genuine, proposalId: hash('sha256', 'junk'), command: Buffer.from('junk') },
    ];
    for (const one of bogus) await world.store.putProposal(one, 64);
    const waiting = await proposals.list();
    expect(waiting.map((one) => one.proposalId)).toContain(proposalId);
    for (const one of bogus) {
      expect(waiting.map((shown) => shown.proposalId)).not.toContain(one.proposalId);
      await expect(proposals.approve(one.proposalId, genuine.signatures[0]!)).rejects.toThrow('no such proposal');
    }
  });

  test('what is no operator’s signature in the store hides no proposal, and spoils none', async () => {
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const { proposalId } = await proposals.propose(signed(command(replica, rotation), [alice]));
    const genuine = (await world.store.findProposal(proposalId))!;
    const planted = ['mallory', '', 'bob', 'x'.repeat(200)].flatMap((operatorId) =>
      [3, 96].map((length) => ({ operatorId, signature: Buffer.alloc(length, 1) })),
    );
    for (const signature of planted) {
      await world.store.putProposal({ ...genuine, signatures: [signature] }, 64);
      const shown = (await proposals.list()).find((one) => one.proposalId === proposalId)!;
      expect(shown.signatures.map(({ operatorId }) => operatorId)).toEqual(['alice']);
      expect(proposals.standingOf(shown).standing).toBe('collecting');
    }
    const { signatures } = Proposal.decode(signed(command(replica, rotation), [bob]));
    await proposals.approve(proposalId, signatures[0]!);
    await round.run();
    expect(generations()).toEqual([2, 2]);
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

  test('a change that makes no valid state is refused before anyone else signs it', async () => {
    const replica = await foundedReplica();
    const refused = async (change: Change, why: string, preparer = 'hsm-1') =>
      expect(replica.proposals.propose(signed(command(replica, change, preparer), [alice]))).rejects.toThrow(why);
    await refused({ name: 'ModifyMembers', body: { admit: [], remove: ['nobody'] } }, 'nobody cannot be removed');
    await refused({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } }, 'hsm-1, the preparer');
    await refused(rotation, 'hsm-9, the preparer', 'hsm-9');
    await refused({ name: 'LeaveDomain', body: { memberId: 'hsm-1' } }, 'carries it out itself', 'hsm-2');
  });

  test('a token that no other member can open is not stored, and another member is asked', async () => {
    const replica = await foundedReplica();
    const { round, tokens } = replica;
    const hostile = world.workers[0]!;
    const honest = hostile.hsm.prepare(signed(command(replica, rotation), [alice, bob]), tokens.head!.token);
    hostile.forged = await sealedForNobody(
      honest,
      async (body) => SignedMessage.decode(await hostile.hsm.signMessage(body)).signature,
    );
    world.clock.advance(DAY);
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(parseToken(tokens.head!.token).signerId).toBe('hsm-2');
  });

  test('a token is stored when no other member is in reach', async () => {
    const { round, tokens } = await foundedReplica();
    world.workers[1]!.down = true;
    world.clock.advance(DAY);
    await round.run();
    expect(tokens.generation).toBe(2);
  });

  test('a token that does not verify is not stored, whoever made it, and another member is asked', async () => {
    const { proposals, round, tokens } = await foundedReplica();
    world.workers[0]!.forged = Buffer.from(tokens.head!.token);
    world.clock.advance(DAY);
    await round.run();
    expect(tokens.generation).toBe(2);
    expect(generations()).toEqual([2, 2]);
    expect(await proposals.list()).toHaveLength(1);
  });
});

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

  test('a member that was away for several rotations catches up', async () => {
    const { round } = await foundedReplica();
    world.workers[1]!.down = true;
    for (let day = 0; day < 3; day++) {
      world.clock.advance(DAY);
      await round.run();
    }
    expect(sealing()).toEqual([4, 1]);
    world.workers[1]!.down = false;
    await round.run();
    expect(generations()).toEqual([4, 4]);
    expect(sealing()).toEqual([4, 4]);
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

describe('a store that went back to an older backup', () => {
  /** The restored backup: the first `count` tokens. */
  async function restoreBackup(count: number): Promise<MemoryStore> {
    const backup = new MemoryStore(world.clock);
    for (const [index, token] of (await world.store.loadTokens(0, count)).entries())
      await backup.appendToken(index + 1, token);
    return backup;
  }
  async function rotatedTwice(): Promise<void> {
    const { round } = await foundedReplica();
    for (let day = 0; day < 2; day++) {
      world.clock.advance(DAY);
      await round.run();
    }
  }

  test('gets the lost tokens back from a replica that held them, which says so', async () => {
    await rotatedTwice();
    const all = await world.store.loadTokens(0, 9);
    for (const count of [1, 2]) {
      const restored: number[] = [];
      const backup = await restoreBackup(count);
      const tokens = new TokenLog({
        store: world.store,
        anchor,
        clock: world.clock,
        onRestored: (from, to) => restored.push(from, to),
      });
      await tokens.refresh();
      Object.assign(world.store, {
        loadTokens: backup.loadTokens.bind(backup),
        restoreToken: backup.restoreToken.bind(backup),
      });
      await tokens.refresh();
      expect(restored).toEqual([count + 1, 3]);
      expect(await backup.loadTokens(0, 9)).toEqual(all);
      await tokens.refresh();
      expect(restored).toHaveLength(2);
    }
  });

  test('and is empty is left alone: it may be any store', async () => {
    await rotatedTwice();
    const tokens = new TokenLog({ store: world.store, anchor, clock: world.clock, onRestored: () => {} });
    await tokens.refresh();
    const emptied = await restoreBackup(0);
    Object.assign(world.store, {
      loadTokens: emptied.loadTokens.bind(emptied),
      restoreToken: emptied.restoreToken.bind(emptied),
    });
    await tokens.refresh();
    expect(tokens.generation).toBe(3);
    expect(await emptied.loadTokens(0, 9)).toEqual([]);
  });

  test('and was built on meanwhile is refused by a replica that held other tokens', async () => {
    await rotatedTwice();
    const { tokens } = newReplica();
    await tokens.refresh();
    const backup = await restoreBackup(1);
    await backup.appendToken(2, Buffer.from('another token 2'));
    Object.assign(world.store, {
      loadTokens: backup.loadTokens.bind(backup),
      appendToken: backup.appendToken.bind(backup),
    });
    await expect(tokens.refresh()).rejects.toThrow(TokenLogError);
    expect(await backup.loadTokens(0, 9)).toHaveLength(2);
  });

  test('is not built on when only the members know the lost tokens: the status says what to do', async () => {
    await rotatedTwice();
    world.store = await restoreBackup(1);
    const { round, tokens } = newReplica();
    await round.run();
    expect(round.views[0]!.problem).toContain('restore the store');
    world.clock.advance(DAY);
    await round.run();
    expect(tokens.generation).toBe(1);
  });
});

test('a token that a wrong clock dated ahead is not stored, and another member makes the next', async () => {
  const { round, tokens } = await foundedReplica();
  const fast = new TestClock();
  fast.time = world.clock.now() + 3650 * DAY;
  const sealedIdentity = world.workers[0]!.hsm.sealedIdentity();
  const hsm = new Hsm({
    memberId: 'hsm-1',
    anchor,
    sealKey: testSealKey,
    clock: fast,
    random: randomBytes,
    sealedIdentity,
  });
  hsm.install([tokens.head!.token]);
  Object.assign(world.workers[0]!, { hsm });
  world.clock.advance(DAY);
  await round.run();
  expect(tokens.head!.state.madeAt).toBe(world.clock.now());
  expect(generations()).toEqual([2, 2]);
});
