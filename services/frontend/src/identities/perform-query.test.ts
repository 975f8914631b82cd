import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Attempt } from '../request/attempt.ts';
import type { ChargedIam } from './iam-store.ts';
import { MemoryIamStore } from './memory-iam-store.ts';
import { newPerformQuery, type PerformQueryDeps } from './perform-query.ts';
import type { QueryOperation } from './query-operation.ts';

test("what a request reads is charged to its caller's account, and to nobody's if nobody signed it", async () => {
  const [uncharged, lent] = [new MemoryIamStore(), new MemoryIamStore()];
  const payers: string[] = [];
  const charged: ChargedIam = (accountId, use) => {
    payers.push(accountId);
    return use(lent);
  };
  const guard = { assertFit: () => {} };
  const rates = { charge: () => {} };
  const deps = { iam: uncharged, charged, guard, rates, clock: { now: () => 0 } };
  const perform = newPerformQuery(deps as object as PerformQueryDeps);
  const usedBy = async (unsigned: object): Promise<unknown> => {
    let used: unknown;
    const query: QueryOperation = {
      service: 'sts',
      name: 'Look',
      readOnly: true,
      input: z.object({}),
      target: undefined,
      ...unsigned,
      run: async (_, { iam }) => void (used = iam),
    };
    const call = { caller: { accountId: '111122223333' }, region: 'us-east-1', deadline: 1 };
    await perform({ service: 'sts', query, call, input: {} } as object as Attempt);
    return used;
  };
  expect(await usedBy({})).toBe(lent);
  expect(await usedBy({ unsigned: true })).toBe(uncharged);
  expect(payers).toEqual(['111122223333']);
});
