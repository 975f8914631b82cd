import { newProposal, parseDomainChange } from '@keyfleet/shared/domain/proposal';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { describe, expect, test } from 'vitest';
import { type Change, memberOf, rotation } from '../../../test/support/domain.ts';
import { away, lateOne, newRotation, workerOf } from '../../../test/support/witnesses.ts';
import { lacksWitness } from './witness.ts';
import type { Worker } from './workers.ts';
import { surveyWorkers } from './worker-survey.ts';

const { domain, maker, second, third } = await newRotation();

describe('a change that nobody could witness', () => {
  const members = [maker, second, third].map(memberOf);
  const before = { ...parseToken(domain.tokens[0]!).state, members };
  const removal = (...remove: string[]): Change => ({ name: 'ModifyMembers', body: { admit: [], remove } });

  async function waits(
    change: Change,
    workers: readonly Worker[],
    { state = before, unwitnessed = false }: { state?: DomainState | undefined; unwitnessed?: boolean } = {},
  ): Promise<string | undefined> {
    const { command } = newProposal({ ...domain.command(change), unwitnessed });
    return lacksWitness(parseDomainChange(command), state, await surveyWorkers(workers, undefined));
  }

  test('waits for one that could, and says whom to start, or what to sign if all are lost', async () => {
    const gone = [second, third].map((hsm) => workerOf(hsm, { describe: away }));
    for (const workers of [[], [workerOf(maker)], [workerOf(maker), ...gone], [lateOne(domain, second)]]) {
      expect(await waits(rotation, workers)).toMatch(/start one of hsm-2, hsm-3\. If all are lost, .*--unwitnessed/);
      expect(await waits(removal('hsm-3'), workers)).toMatch(/start one of hsm-2\./);
    }
    expect(await waits(rotation, [workerOf(second)])).toBeUndefined();
    expect(await waits(removal('hsm-3'), [workerOf(third)])).toMatch(/start one of hsm-2\./);
    expect(
      await waits(
        removal('hsm-2', 'hsm-3'),
        [second, third].map((hsm) => workerOf(hsm)),
      ),
    ).toMatch(/^nobody who stays but hsm-1 has the domain keys: .*--unwitnessed/);
  });

  test('is made where it needs no witness', async () => {
    expect(await waits(removal('hsm-2', 'hsm-3'), [], { unwitnessed: true })).toBeUndefined();
    expect(await waits(rotation, [], { unwitnessed: true })).toBeUndefined();
    expect(await waits({ name: 'LeaveDomain', body: { memberId: 'hsm-2' } }, [])).toBeUndefined();
    const inSafe = members.map((one) => (one.memberId === 'hsm-1' ? one : { ...one, offline: true as const }));
    expect(await waits(rotation, [], { state: { ...before, members: inSafe } })).toBeUndefined();
    // They do not come to witness because somebody runs them.
    const workers = [second, third].map((hsm) => workerOf(hsm));
    const oneInSafe = members.map((one) => (one.memberId === 'hsm-2' ? { ...one, offline: true as const } : one));
    expect(await waits(rotation, workers.slice(0, 1), { state: { ...before, members: oneInSafe } })).toMatch(
      /start one of hsm-3\./,
    );
  });

  test('is waited for at the ceremony too: one of the other first members confirms the first token', async () => {
    const founding: Change = {
      name: 'CreateDomain',
      body: { members, operators: before.operators, rules: before.rules, backupHorizonMs: 0 },
    };
    const found = async (workers: readonly Worker[], body = founding.body) => {
      const bound = { domain: 'test', generation: 0, previousHash: Buffer.alloc(32), preparer: 'hsm-1' };
      const { command } = newProposal({ ...bound, name: 'CreateDomain', body } as never);
      return lacksWitness(parseDomainChange(command), undefined, await surveyWorkers(workers, undefined));
    };
    const waits = 'start one of hsm-2, hsm-3, or found the domain without them';
    expect(await found([workerOf(maker)])).toContain(waits);
    expect(await found([workerOf(domain.newHsm('hsm-2'))])).toContain(waits);
    expect(await found([workerOf(second)])).toBeUndefined();
    expect(await found([], { ...founding.body, members: members.slice(0, 1) } as never)).toBeUndefined();
  });
});
