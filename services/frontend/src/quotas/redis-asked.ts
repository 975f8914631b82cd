import { randomUUID } from 'node:crypto';
import { ratesAt } from '@keyfleet/shared/stored/names';
import { z } from 'zod';
import type { RedisCalls } from '../store/redis-calls.ts';
import { type Asked, type AskedElsewhere, type Charged, WINDOW_MS } from './request-rates.ts';

/** What somebody told counts for so long: two windows and what the way takes. */
const HEARD_MS = 2.5 * WINDOW_MS;

const Told = z.array(z.string().transform((text) => z.record(z.string(), z.int()).parse(JSON.parse(text)) as Asked));

/** Through Redis, whose clock says which counts are current. Counts may be lost. */
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
