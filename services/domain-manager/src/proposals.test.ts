import { encodeDomainChange, Proposal, proposalId, signProposal } from '@keyfleet/shared/domain/proposal';
import { type Change, inFirstForm, newOperator, publicPart, rotation, testRules } from '@keyfleet/test-support/domain';
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

beforeEach(resetWorld);

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
