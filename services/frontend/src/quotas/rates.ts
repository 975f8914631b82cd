import { outcomeCounter } from '@keyfleet/shared/telemetry/meters';
import type { RedisCalls } from '../store/redis-calls.ts';
import { RedisAsked } from './redis-asked.ts';
import { RequestRates } from './request-rates.ts';
import { awsRates, type RateClass, type Rates } from './rate-classes.ts';

const factors = { aws: 1, generous: 1_000 } as const;

export interface RequestQuotas {
  readonly profile: keyof typeof factors;
  /** Instead of what the profile says. */
  readonly perSecond: Readonly<Partial<Record<RateClass, number | undefined>>>;
}

/** Requests a second of each class. */
export function ratesOf({ profile, perSecond }: RequestQuotas): Rates {
  const entries = Object.entries(awsRates) as [RateClass, number][];
  const rates = entries.map(([name, rate]) => [name, perSecond[name] ?? rate * factors[profile]] as const);
  return Object.fromEntries(rates) as Record<RateClass, number>;
}

/** `onProblem`: told of what could not be told to other frontends. */
export function startRates(
  quotas: RequestQuotas,
  calls: RedisCalls,
  onProblem: (problem: unknown) => void,
): RequestRates {
  const countRefused = outcomeCounter('keyfleet.requests.throttled');
  const onRefused = (rateClass: RateClass): void => countRefused(rateClass);
  return new RequestRates({ rates: ratesOf(quotas), elsewhere: new RedisAsked(calls), onRefused, onProblem });
}
