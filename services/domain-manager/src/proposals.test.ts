import {
  encodeDomainChange,
  type OperatorSignature,
  Proposal,
  proposalId,
  signProposal,
} from '@keyfleet/shared/domain/proposal';
import {
  type Change,
  inFirstForm,
  memberOf,
  newOperator,
  publicPart,
  rotation,
  testRules,
} from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  creation,
  DAY,
  foundedReplica,
  generations,
  newReplica,
  resetWorld,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { hash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryStore } from './store/memory-store.ts';

beforeEach(resetWorld);

/** (r, n - s), which anyone makes from (r, s): both verify. */
function inOtherForm({ operatorId, signature }: OperatorSignature): OperatorSignature {
  const order = BigInt(
    '0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  );
  const s = order - BigInt(`0x${Buffer.from(signature).toString('hex', 48)}`);
  const other = Buffer.from(s.toString(16).padStart(96, '0'), 'hex');
  return { operatorId, signature: Buffer.concat([signature.subarray(0, 48), other]) };
}

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

  test('an operator who may not sign a domain change proposes and approves nothing', async () => {
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
  });

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

  test('who asks for the list while it is read shares the next reading, and has what was stored before he asked', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const { store } = world;
    const read = store.listProposals.bind(store);
    let reads = 0;
    const held: (() => void)[] = [];
    store.listProposals = async () => {
      const found = await read();
      reads++;
      await new Promise<void>((resolve) => held.push(resolve));
      return found;
    };
    const early = [proposals.list(), proposals.list()];
    await expect.poll(() => held.length).toBe(1);
    const rules = command(replica, { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs: 1 } });
    const proposal = Proposal.decode(signed(rules, [alice]));
    const id = proposalId(proposal);
    await store.putProposal({ ...proposal, proposalId: id, expiresAt: world.clock.now() + DAY }, 64);
    const late = Array.from({ length: 9 }, () => proposals.list());
    held[0]!();
    await expect.poll(() => held.length).toBe(2);
    held[1]!();
    const has = (list: readonly { proposalId: string }[]) => list.some((one) => one.proposalId === id);
    expect((await Promise.all(early)).map(has)).toEqual([false, false]);
    expect((await Promise.all(late)).every(has)).toBe(true);
    expect(reads).toBe(2);
  });

  test('a reading that failed fails nobody who comes after it', async () => {
    const { proposals } = await foundedReplica();
    const { store } = world;
    const read = store.listProposals.bind(store);
    store.listProposals = async () => {
      store.listProposals = read;
      throw new Error('Redis is away');
    };
    await expect(proposals.list()).rejects.toThrow('Redis is away');
    expect(await proposals.list()).toHaveLength(1);
  });

  test('a proposal for a generation that has passed is refused, and one that waited becomes failed', async () => {
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const rotate = command(replica, rotation);
    const rules = { rules: testRules, backupHorizonMs: 1 };
    const modify = command(replica, { name: 'ModifyRules', body: rules });
    const waiting = await proposals.propose(signed(modify, [alice]));
    await proposals.propose(signed(rotate, [alice, bob]));
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(proposals.standingOf((await world.store.findProposal(waiting.proposalId))!).standing).toBe('failed');
    await expect(proposals.propose(signed(rotate, [alice, bob]))).rejects.toThrow('generation 1');
  });

  test('what expired is carried out no more, whoever brings what he kept of it, but by new signatures', async () => {
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    world.workers[1]!.down = true;
    const admission = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
    const change = command(replica, { name: 'ModifyMembers', body: admission });
    const kept = signed(change, [alice, bob]);
    const { proposalId } = await proposals.propose(kept);
    // Alice signs again on the way: her signature is shown no more, and may have been kept as well.
    const again = Proposal.decode(signed(change, [alice])).signatures[0]!;
    await proposals.approve(proposalId, again);
    world.clock.advance(7 * DAY);
    await round.run();
    expect(await proposals.list()).toEqual([]);

    const { command: bytes, signatures } = Proposal.decode(kept);
    for (const one of [...signatures, again, inOtherForm(again)]) {
      const brought = proposals.propose(Proposal.encode({ command: bytes, signatures: [one] }));
      await expect(brought).rejects.toThrow(`it expired on ${new Date(world.clock.now()).toISOString()}`);
    }
    await expect(proposals.propose(kept)).rejects.toThrow('propose the change again');
    expect(await proposals.list()).toEqual([]);

    world.clock.advance(DAY);
    await proposals.propose(signed(change, [alice]));
    for (const one of signatures) await expect(proposals.approve(proposalId, one)).rejects.toThrow('it expired');
    const stored = (await proposals.list())[0]!;
    expect(stored.signatures.map(({ operatorId }) => operatorId)).toEqual(['alice']);
    expect(stored.expiresAt).toBe(world.clock.now() + 7 * DAY);
    await proposals.approve(proposalId, Proposal.decode(signed(change, [bob])).signatures[0]!);
    world.workers[1]!.down = false;
    await round.run();
    expect(replica.tokens.head!.state.members).toHaveLength(3);
  });

  test('a signature that came late expires with its proposal, however often both come again before', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const change = command(replica, { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs: 1 } });
    const [ofAlice, ofBob] = [alice, bob].map((one) => signed(change, [one]));
    const { expiresAt } = await proposals.propose(ofAlice!);
    world.clock.advance(6 * DAY);
    for (const one of [ofAlice!, ofBob!]) expect((await proposals.propose(one)).expiresAt).toBe(expiresAt);
    world.clock.advance(DAY);
    for (const one of [ofAlice!, ofBob!]) await expect(proposals.propose(one)).rejects.toThrow('it expired');
  });

  test('what expires while somebody brings it has expired, whatever the clock is ahead of the store’s', async () => {
    const ahead = 50;
    const store = new MemoryStore({ now: () => world.clock.now() - ahead });
    world.store = store;
    const replica = await foundedReplica();
    const { proposals } = replica;
    const change = command(replica, { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs: 1 } });
    const kept = signed(change, [alice, bob]);
    const { expiresAt } = await proposals.propose(kept);
    world.clock.time = expiresAt + ahead - 1;
    expect((await proposals.propose(kept)).expiresAt).toBe(expiresAt);

    const dateSignature = store.dateSignature.bind(store);
    store.dateSignature = async (id, one, until) => {
      const date = await dateSignature(id, one, until);
      if (one.operatorId === 'bob') world.clock.advance(1);
      return date;
    };
    await expect(proposals.propose(kept)).rejects.toThrow('it expired');
    expect(await proposals.list()).toEqual([]);
  });

  test('what was dropped ends when it would have, whoever brings it again, and takes new signatures with it', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const change = command(replica, { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs: 1 } });
    const kept = signed(change, [bob]);
    const { proposalId, expiresAt } = await proposals.propose(kept);
    for (const again of [kept, signed(change, [alice])]) {
      await world.store.dropProposal(proposalId);
      world.clock.advance(DAY);
      await proposals.propose(again);
      expect((await proposals.propose(kept)).expiresAt).toBe(expiresAt);
    }
    world.clock.time = expiresAt;
    expect(await proposals.list()).toEqual([]);
    await expect(proposals.propose(kept)).rejects.toThrow('it expired');
  });

  test('what is brought again after it expired takes no other proposal’s place', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const rules = (backupHorizonMs: number) =>
      command(replica, { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs } });
    const kept = signed(rules(0), [bob]);
    await proposals.propose(kept);
    world.clock.advance(7 * DAY);
    for (let i = 1; i <= 64; i++) await proposals.propose(signed(rules(i), [alice]));
    await expect(proposals.propose(kept)).rejects.toThrow('it expired');
    expect((await proposals.list()).map(({ signatures }) => signatures[0]!.operatorId)).toEqual(
      Array(64).fill('alice'),
    );
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

  test('a change that makes no valid state is refused before anyone else signs it', async () => {
    const replica = await foundedReplica();
    const refused = async (change: Change, why: string, preparer = 'hsm-1') =>
      expect(replica.proposals.propose(signed(command(replica, change, preparer), [alice]))).rejects.toThrow(why);
    await refused({ name: 'ModifyMembers', body: { admit: [], remove: ['nobody'] } }, 'nobody cannot be removed');
    await refused({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } }, 'hsm-1, the preparer');
    await refused(rotation, 'hsm-9, the preparer', 'hsm-9');
    await refused({ name: 'LeaveDomain', body: { memberId: 'hsm-1' } }, 'must be the preparer', 'hsm-2');
  });

  test('the first release’s removal of a frontend, which makes no domain key, is refused', async () => {
    const frontend = newOperator('frontend-1', 'service-host');
    const { proposals, round, ...replica } = await foundedReplica();
    const admission = { name: 'ModifyOperators', body: { admit: [publicPart(frontend)], remove: [] } } satisfies Change;
    await proposals.propose(signed(command(replica, admission), [alice, bob]));
    await round.run();
    const removal = command(replica, { name: 'ModifyOperators', body: { admit: [], remove: ['frontend-1'] } });
    const old = { command: inFirstForm(encodeDomainChange(removal)), signatures: [] };
    const signedByAll = Proposal.encode([alice, bob].reduce(signProposal, old));
    await expect(proposals.propose(signedByAll)).rejects.toThrow('not a canonical');
    const { token } = replica.tokens.head!;
    expect(() => world.workers[0]!.hsm.prepare(signedByAll, token)).toThrow('not a canonical');
    await expect(proposals.propose(signed(removal, [alice, bob]))).resolves.toBeDefined();
  });
});
