import { expect, test } from 'vitest';
import { DamagedRecordError } from '../../store/store.ts';
import { identityArn } from '../callers.ts';
import { newPolicy, newUser } from '../iam-store.contract.ts';
import { MemoryIamStore } from '../memory-iam-store.ts';
import type { IamDeps } from '../query-operation.ts';
import { listEntitiesForPolicy } from './policy-uses.ts';

const partition = 'aws';

test('a damaged record hides none of the others that use a policy, and few are read at once', async () => {
  const iam = new MemoryIamStore();
  const record = newPolicy('read');
  const { accountId } = record;
  await iam.insert(record, 9);
  const names = Array.from({ length: 1_200 }, (_, i) => `u${i}`);
  for (const name of names) await iam.insert(newUser(name, { attached: [identityArn(partition, record)] }), 2_000);
  const find = iam.find.bind(iam);
  let [reading, most] = [0, 0];
  iam.find = async (...asked) => {
    most = Math.max(most, ++reading);
    const found = await find(...asked);
    reading--;
    if (asked[2] === 'u7') throw new DamagedRecordError('user/u7 is not authentic');
    return found;
  };
  const markers = { open: async () => '', seal: async () => 'marker' };
  const admitted = { input: { MaxItems: 1_000 }, call: { caller: { accountId } }, record };
  const deps = { iam, markers, partition } as object as IamDeps;
  const answer = await listEntitiesForPolicy.run(admitted as never, deps);
  expect(answer).toMatchObject({ IsTruncated: true, PolicyUsers: expect.objectContaining({ length: 999 }) as object });
  expect(most).toBeLessThanOrEqual(32);
});
