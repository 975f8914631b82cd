import { type DomainChange, newProposal, parseDomainChange, signProposal } from '@keyfleet/shared/domain/proposal';
import { memberOf, rotation, testRules } from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  foundedReplica,
  LocalWorker,
  type Replica,
  resetWorld,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';
import { waitsFor } from './execute.ts';

beforeEach(resetWorld);

describe('the member that a proposal names', () => {
  test('alone makes its token; while it is away the proposal says so, and waits', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    world.workers[1]!.down = true;
    const { proposalId } = await proposals.propose(signed(command(replica, rotation, 'hsm-2'), [alice, bob]));
    await round.run();
    const { standing } = proposals.standingOf((await world.store.findProposal(proposalId))!);
    expect([standing, tokens.generation]).toEqual(['ready', 1]);
    const waits = (change: DomainChange) => waitsFor(change, { views: round.views, tokens });
    const away = parseChangeOf(replica, 'hsm-2');
    expect(waits(away)).toMatch(/^hsm-2, .*with another --preparer$/);
    expect(waits(parseChangeOf(replica, 'hsm-1'))).toMatch(/start one of hsm-2\. If all are lost, .*--unwitnessed/);
    expect(waits({ ...parseChangeOf(replica, 'hsm-1'), unwitnessed: true })).toBeUndefined();

    world.workers[1]!.down = false;
    await round.run();
    expect(proposals.standingOf((await world.store.findProposal(proposalId))!)).toEqual({
      standing: 'done',
      generation: 2,
    });
  });

  test('is not asked for a change that nobody could witness: it would be bound to that token', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const change = (admit: readonly LocalWorker[], remove: readonly string[]) =>
      command(replica, {
        name: 'ModifyMembers',
        body: { admit: admit.map(({ hsm }) => memberOf(hsm)), remove: [...remove] },
      });
    const inOne = change([world.workers[2]!], ['hsm-2']);
    await proposals.propose(signed(inOne, [alice, bob]));
    await round.run();
    expect(tokens.generation).toBe(1);
    const { command: bytes } = newProposal(inOne);
    expect(waitsFor(parseDomainChange(bytes), { views: round.views, tokens })).toMatch(
      /^nobody who stays but hsm-1 has the domain keys: .*--unwitnessed/,
    );
    await proposals.propose(signed(change([], ['hsm-2']), [alice, bob]));
    await round.run();
    expect(tokens.head!.state.members.map(({ memberId }) => memberId)).toEqual(['hsm-1']);
  });

  test('admits nobody while those who could witness its token do not answer', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const body = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
    await proposals.propose(signed(command(replica, { name: 'ModifyMembers', body }), [alice, bob]));
    world.workers[1]!.down = true;
    await round.run();
    expect(tokens.generation).toBe(1);
    world.workers[1]!.down = false;
    await round.run();
    expect(tokens.head!.state.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-2', 'hsm-3']);
  });

  test('makes one change of it where those who leave are lost, if it is signed that this needs no witness', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    world.workers.splice(1, 1);
    const body = { admit: [memberOf(world.workers[1]!.hsm)], remove: ['hsm-2'] };
    const inOne = command(replica, { name: 'ModifyMembers', body });
    await proposals.propose(signed(inOne, [alice, bob]));
    await round.run();
    expect(tokens.generation).toBe(1);
    await proposals.propose(signed({ ...inOne, unwitnessed: true }, [alice, bob]));
    await round.run();
    expect(tokens.head!.state.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'hsm-3']);
  });

  test('that refuses is asked again a minute later; until then the proposal has failed, with advice', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    world.workers[0]!.forged = Buffer.from(tokens.head!.token);
    const { proposalId } = await proposals.propose(signed(command(replica, rotation), [alice, bob]));
    await round.run();
    const standing = proposals.standingOf((await world.store.findProposal(proposalId))!);
    expect(standing).toMatchObject({ standing: 'failed' });
    expect((standing as { reason: string }).reason).toContain('with another --preparer');
    world.workers[0]!.forged = undefined;
    world.clock.advance(59_000);
    await round.run();
    expect(tokens.generation).toBe(1);
    world.clock.advance(1_000);
    await round.run();
    expect(tokens.generation).toBe(2);
    expect(proposals.standingOf((await world.store.findProposal(proposalId))!).standing).toBe('done');
  });

  test('that refuses a rotation as too soon says so, and makes it once the time has come, with no one’s help', async () => {
    const { proposals, round, tokens, rotatedByAlice } = await withRotationByOne();
    const { proposalId } = rotatedByAlice;
    const standing = proposals.standingOf((await world.store.findProposal(proposalId))!);
    expect(standing).toMatchObject({ standing: 'failed' });
    const { reason } = standing as { reason: string };
    expect(reason).toContain('possible in 600 s');
    expect(reason).toContain('tried again each minute');
    world.clock.advance(600_000);
    await round.run();
    expect(tokens.generation).toBe(3);
  });

  test('that refuses it so makes it at once when those have signed who may change the members', async () => {
    const { proposals, round, tokens, rotatedByAlice } = await withRotationByOne();
    const { proposalId, command: bytes } = rotatedByAlice;
    const { signatures } = signProposal({ command: bytes, signatures: [] }, bob);
    const approved = await proposals.approve(proposalId, signatures[0]!);
    expect(proposals.standingOf(approved).standing).toBe('ready');
    await round.run();
    expect(tokens.generation).toBe(3);
    expect(proposals.standingOf((await world.store.findProposal(proposalId))!).standing).toBe('done');
  });

  /** A domain of which one operator may rotate the keys, and who just did so right after its founding. */
  async function withRotationByOne() {
    for (const [i, { hsm }] of world.workers.entries()) {
      world.workers[i] = new LocalWorker(hsm.memberId, world.clock, { rotationPauseMs: 600_000 });
    }
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const rules = testRules.map((rule) =>
      rule.command === 'RotateDomainKeys'
        ? { ...rule, alternatives: [[{ role: 'operator' as const, minimum: 1 }]] }
        : rule,
    );
    const modify = command(replica, { name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } });
    await proposals.propose(signed(modify, [alice, bob]));
    await round.run();
    const rotatedByAlice = await proposals.propose(signed(command(replica, rotation), [alice]));
    await round.run();
    return { ...replica, rotatedByAlice };
  }

  test('carries it out when it is back, whatever a liar said in its place meanwhile', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const [honest, liar] = world.workers;
    liar!.claims = honest!.hsm.describe();
    const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    const removed = await proposals.propose(signed(removal, [alice, bob]));
    honest!.down = true;
    await round.run();
    expect(proposals.standingOf((await world.store.findProposal(removed.proposalId))!).standing).toBe('ready');
    expect(tokens.generation).toBe(1);
    honest!.down = false;
    world.clock.advance(60_000);
    await round.run();
    expect(tokens.head!.state.members.map(({ memberId }) => memberId)).toEqual(['hsm-1']);

    const leave = command(replica, { name: 'LeaveDomain', body: { memberId: 'hsm-1' } });
    await proposals.propose(signed(leave, [alice, bob]));
    honest!.down = true;
    await round.run();
    honest!.down = false;
    world.clock.advance(60_000);
    await round.run();
    expect(honest!.hsm.describe()).toMatchObject({ memberId: 'hsm-1', domain: '' });
  });

  test('has not failed while it lacks the newest token, as after its restart', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const [honest, liar] = world.workers;
    liar!.claims = honest!.hsm.describe();
    honest!.claims = { generation: 0 };
    const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    const { proposalId } = await proposals.propose(signed(removal, [alice, bob]));
    await round.run();
    expect(proposals.standingOf((await world.store.findProposal(proposalId))!).standing).toBe('ready');
    honest!.claims = {};
    world.clock.advance(60_000);
    await round.run();
    expect(tokens.generation).toBe(2);
  });

  test('is asked, whatever the store says of the proposal', async () => {
    const replica = await foundedReplica();
    const { proposals, round, tokens } = replica;
    const { proposalId } = await proposals.propose(signed(command(replica, rotation), [alice, bob]));
    await world.store.setFailure(proposalId, 'refused');
    expect(proposals.standingOf((await world.store.findProposal(proposalId))!).standing).toBe('failed');
    await round.run();
    expect(tokens.generation).toBe(2);
    expect(proposals.standingOf((await world.store.findProposal(proposalId))!).standing).toBe('done');
  });

  function parseChangeOf(replica: Replica, preparer: string): DomainChange {
    return parseDomainChange(newProposal(command(replica, rotation, preparer)).command);
  }
});
