import { Proposal } from '@keyfleet/shared/domain/proposal';
import { type Change, newOperator, publicPart, testRules } from '@keyfleet/test-support/domain';
import { alice, bob, command, foundedReplica, generations, resetWorld, signed } from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';

beforeEach(resetWorld);

describe('of the places of proposals', () => {
  test('one operator alone leaves the others theirs', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const rules = (backupHorizonMs: number) =>
      command(replica, { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs } });
    await proposals.propose(signed(rules(0), [bob]));
    const flood = Array.from({ length: 80 }, (_, i) => proposals.propose(signed(rules(i + 1), [alice])));
    const refused = (await Promise.allSettled(flood)).filter(({ status }) => status === 'rejected');
    expect(String((refused[0] as PromiseRejectedResult).reason)).toContain('nobody signed more of it than alice');
    await proposals.propose(signed(rules(81), [bob]));
    const waiting = await proposals.list();
    expect(waiting).toHaveLength(64);
    expect(waiting.filter(({ signatures }) => signatures[0]!.operatorId === 'bob')).toHaveLength(2);
  });

  test('what an operator proposed keeps nobody from proposing when it was removed', async () => {
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const rules = (backupHorizonMs: number) =>
      command(replica, { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs } });
    const modify = async (body: (Change & { name: 'ModifyOperators' })['body']) => {
      await proposals.propose(signed(command(replica, { name: 'ModifyOperators', body }), [alice, bob]));
      await round.run();
    };
    const mallory = newOperator('mallory');
    await modify({ admit: [publicPart(mallory)], remove: [] });
    for (let i = 0; i < 62; i++) await proposals.propose(signed(rules(i + 1), [mallory]));
    await modify({ admit: [], remove: ['mallory'] });
    expect(generations()).toEqual([3, 3]);
    await expect(proposals.propose(signed(rules(0), [alice]))).resolves.toBeDefined();
    await expect(proposals.propose(signed(rules(1), [alice, bob]))).resolves.toBeDefined();
  });

  test('two operators of five, three of whom must sign, keep the others from nothing', async () => {
    const [carol, dave, erin] = ['carol', 'dave', 'erin'].map((name) => newOperator(name));
    const three = testRules.map((rule) => ({
      ...rule,
      alternatives: rule.alternatives.map((way) =>
        way.map((one) => ({ ...one, minimum: one.role === 'operator' ? 3 : 1 })),
      ),
    }));
    const replica = await foundedReplica();
    const { proposals, round } = replica;
    const operators = { admit: [carol!, dave!, erin!].map(publicPart), remove: [] };
    await proposals.propose(signed(command(replica, { name: 'ModifyOperators', body: operators }), [alice, bob]));
    await round.run();
    const rules = (backupHorizonMs: number) =>
      command(replica, { name: 'ModifyRules', body: { rules: three, backupHorizonMs } });
    await proposals.propose(signed(rules(0), [alice, bob]));
    await round.run();

    for (let i = 0; i < 65; i++) await proposals.propose(signed(rules(i + 1), [alice, bob])).catch(() => {});
    const removal = command(replica, { name: 'ModifyOperators', body: { admit: [], remove: ['alice', 'bob'] } });
    const { proposalId } = await proposals.propose(signed(removal, [carol!]));
    for (const one of Proposal.decode(signed(removal, [alice])).signatures) await proposals.approve(proposalId, one);
    for (let i = 0; i < 65; i++) await proposals.propose(signed(rules(i + 100), [alice, bob])).catch(() => {});
    for (const one of Proposal.decode(signed(removal, [dave!, erin!])).signatures)
      await proposals.approve(proposalId, one);
    await round.run();
    expect(replica.tokens.head!.state.operators.map(({ operatorId }) => operatorId)).not.toContain('alice');

    // What those who are gone signed is carried out no more, and makes room.
    for (let i = 0; i < 64; i++) await proposals.propose(signed(rules(i + 1), [carol!]));
    expect((await proposals.list()).every(({ signatures }) => signatures.length === 1)).toBe(true);
  });

  test('one operator alone fills no list that the others could not read any more', async () => {
    const replica = await foundedReplica();
    const { proposals } = replica;
    const many = Array.from({ length: 400 }, (_, i) => publicPart(newOperator(`${i}`.padStart(128, 'x'))));
    const large = (i: number) =>
      command(replica, { name: 'ModifyOperators', body: { admit: many.slice(i), remove: [] } });
    const flood = Array.from({ length: 40 }, (_, i) => proposals.propose(signed(large(i), [alice])));
    const refused = (await Promise.allSettled(flood)).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(4);
    expect(String((refused[0] as PromiseRejectedResult).reason)).toContain('nobody signed more of it than alice');
    await expect(proposals.propose(signed(large(0), [bob]))).resolves.toBeDefined();
    const size = (await proposals.list()).reduce((sum, one) => sum + one.command.length, 0);
    expect(size).toBeLessThan(3.1 * 1024 * 1024);
  });
});
