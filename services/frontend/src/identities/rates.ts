import type { Charged, RateClass } from '../quotas/request-rates.ts';
import type { IamDeps, QueryOperation } from './query-operation.ts';

/** IAM's records are in no Region, and neither are requests that nobody signed for one. */
const NO_REGION = 'aws-global';

/** Throws ThrottlingException, in the words of IAM and STS, where the account asks for more than its rate. */
export function chargeQuery(
  operation: Pick<QueryOperation, 'service' | 'readOnly'>,
  { accountId, region }: Charged,
  { rates }: Pick<IamDeps, 'rates'>,
): void {
  const isOfRegion = operation.service === 'sts' && region !== '';
  rates.charge({ accountId, region: isOfRegion ? region : NO_REGION }, rateClassOf(operation));
}

function rateClassOf({ service, readOnly }: Pick<QueryOperation, 'service' | 'readOnly'>): RateClass {
  if (service === 'sts') return 'Sts';
  return readOnly ? 'IamRead' : 'IamWrite';
}
