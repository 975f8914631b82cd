import type { RateClass } from '../quotas/rates.ts';
import { type Charged, NO_REGION, type RequestRates } from '../quotas/request-rates.ts';
import type { IamDeps, QueryOperation } from './query-operation.ts';

/** Throws ThrottlingException, in IAM's and STS's wording, if the account exceeds its rate. */
export function chargeQuery(
  operation: Pick<QueryOperation, 'service' | 'readOnly'>,
  { accountId, region }: Charged,
  { rates }: { readonly rates: Pick<RequestRates, 'charge'> },
): void {
  const isOfRegion = operation.service === 'sts' && region !== '';
  rates.charge({ accountId, region: isOfRegion ? region : NO_REGION }, rateClassOf(operation));
}

/** Of what is read of policies, and decided by them, in a piece of a simulation's work. */
const CHARACTERS_PER_PIECE = 4_096;
const STEPS_PER_PIECE = 100_000;

/** Charges the reading of policies beyond what a usual request reads. Throws ThrottlingException. */
export function chargeReading(documents: readonly string[], accountId: string, deps: Pick<IamDeps, 'rates'>): void {
  const characters = documents.reduce((sum, { length }) => sum + length, 0);
  chargeMore(Math.floor(characters / CHARACTERS_PER_PIECE), accountId, deps);
}

/** Charges decisions that took so many steps. Throws likewise. */
export function chargeSteps(steps: number, accountId: string, deps: Pick<IamDeps, 'rates'>): void {
  chargeMore(Math.floor(steps / STEPS_PER_PIECE), accountId, deps);
}

/** Charges the compiling of an account's policies, in all Regions together. Throws likewise. */
export function chargeCompiling(pieces: number, accountId: string, { rates }: Pick<IamDeps, 'rates'>): void {
  rates.chargeMore({ accountId, region: NO_REGION }, 'PolicyReads', pieces);
}

function chargeMore(pieces: number, accountId: string, { rates }: Pick<IamDeps, 'rates'>): void {
  rates.chargeMore({ accountId, region: NO_REGION }, 'Simulations', pieces);
}

function rateClassOf({ service, readOnly }: Pick<QueryOperation, 'service' | 'readOnly'>): RateClass {
  if (service === 'sts') return 'Sts';
  return readOnly ? 'IamRead' : 'IamWrite';
}
