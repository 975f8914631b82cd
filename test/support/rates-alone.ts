import { awsRates, type Rates } from '@keyfleet/frontend/quotas/rates';
import { RequestRates } from '@keyfleet/frontend/quotas/request-rates';
import { expect } from 'vitest';

/** What a frontend counts that has no others to share rates with: AWS's, except for these. */
export function ratesAlone(rates: Partial<Rates>): RequestRates {
  return new RequestRates({
    rates: { ...awsRates, ...rates },
    elsewhere: { exchange: () => Promise.resolve([]) },
    onRefused: () => {},
    onProblem: (problem) => expect.unreachable(String(problem)),
  });
}
