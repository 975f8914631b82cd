import type { Charged, RateClass } from '../quotas/request-rates.ts';
import type { IamDeps, QueryOperation } from './query-operation.ts';

/** IAM's records belong to no Region. Neither do requests that nobody signed for one. */
const NO_REGION = 'aws-global';

/** Throws ThrottlingException, in IAM's and STS's wording, if the account exceeds its rate. */
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
