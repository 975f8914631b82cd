import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { ratesAt } from '@keyfleet/shared/stored/names';
import { outcomeCounter } from '@keyfleet/shared/telemetry/meters';
import type { RedisCalls } from '../store/redis-calls.ts';
import { type RateClass, ratesOf, type RequestQuotas } from './rates.ts';
import { type Asked, type AskedElsewhere, type Charged, RequestRates, WINDOW_MS } from './request-rates.ts';

/** `onProblem`: called when other frontends could not be told. */
export function startRates(
  quotas: RequestQuotas,
  calls: RedisCalls,
  onProblem: (problem: unknown) => void,
): RequestRates {
  const countRefused = outcomeCounter('keyfleet.requests.throttled');
  const onRefused = (rateClass: RateClass): void => countRefused(rateClass);
  return new RequestRates({ rates: ratesOf(quotas), elsewhere: new RedisAsked(calls), onRefused, onProblem });
}

/** How long a frontend's message counts: two windows, and its time on the way. */
const HEARD_MS = 2.5 * WINDOW_MS;

/** Throws for a count below zero, which would raise everybody's share. */
const Told = z.array(
  z.string().transform((text) => z.record(z.string(), z.int().min(0)).parse(JSON.parse(text)) as Asked),
);

/** Exchanges through Redis, whose clock decides which counts are current. Counts may be lost. */
export class RedisAsked implements AskedElsewhere {
  readonly #redis: RedisCalls;
  readonly #id = randomUUID();

  constructor(redis: RedisCalls) {
    this.#redis = redis;
  }

  async exchange(of: Charged, asked: Asked): Promise<readonly Asked[]> {
    const parts = [ratesAt(of), this.#id, JSON.stringify(asked), HEARD_MS] as const;
    return Told.parse(await this.#redis.scriptUndurably('kfExchangeRates', ...parts));
  }
}
