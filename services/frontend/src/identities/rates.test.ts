import { expect, test } from 'vitest';
import type { RateClass } from '../quotas/rates.ts';
import { queryOperations } from './operations.ts';
import { chargeQuery } from './rates.ts';

test('a request of STS is charged in its Region, one of IAM in all, and changes apart from reads', () => {
  const charged: string[] = [];
  const rates = {
    charge: ({ accountId, region }: { accountId: string; region: string }, rateClass: RateClass) =>
      void charged.push(`${accountId} ${region} ${rateClass}`),
  };
  const of = { accountId: '111122223333', region: 'eu-west-1' };
  for (const name of ['GetCallerIdentity', 'AssumeRole', 'ListUsers', 'CreateUser']) {
    chargeQuery(
      queryOperations.find((operation) => operation.name === name)!,
      of,
      { rates },
    );
  }
  chargeQuery({ service: 'sts', readOnly: false }, { ...of, region: '' }, { rates });
  expect(charged).toEqual([
    '111122223333 eu-west-1 Sts',
    '111122223333 eu-west-1 Sts',
    '111122223333 aws-global IamRead',
    '111122223333 aws-global IamWrite',
    '111122223333 aws-global Sts',
  ]);
});
