import { connectRedis, type RedisClient } from '@keyfleet/shared/redis/connect';
import { newServiceCheck } from '@keyfleet/shared/redis/durability';
import { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { observeRedis } from '@keyfleet/shared/redis/observe-redis';
import { StoreGuard } from '@keyfleet/shared/redis/store-guard';
import { waitForRedis } from '@keyfleet/shared/redis/wait-for-redis';
import { possibleSigners } from '@keyfleet/shared/domain/quorum';
import type { DomainState } from '@keyfleet/shared/domain/state';
import type { Assembly } from '../assembly.ts';
import { RedisStore } from './redis-store.ts';

export interface GuardedStore {
  readonly redis: RedisClient;
  readonly guard: StoreGuard;
  readonly store: RedisStore;
}

/**
 * Resolves once Redis answers; undefined if the service is stopped first. Throws ConfigError if Redis may lose domain
 * tokens.
 */
export async function startStore(
  { config, anchor, clock, events, resources }: Assembly,
  { signal, state }: { readonly signal: AbortSignal; readonly state: () => DomainState | undefined },
): Promise<GuardedStore | undefined> {
  const { domain } = anchor;
  const redis = resources.use(connectRedis(config.redis, { onProblem: (problem) => events.storeProblem(problem) }));
  resources.use(observeRedis(redis));
  const onRefused = (reason: Error): void => events.storeRefused(reason);
  const check = newServiceCheck(redis, config.redis);
  const durability = resources.use(new DurabilityWatch(redis, check, onRefused));
  if (!(await waitForRedis(redis, durability, signal))) return undefined;
  const writes = new DurableWrites(redis, () => durability.current());
  const guard = resources.use(
    new StoreGuard({
      domain,
      clients: [redis],
      writes,
      clock,
      // Lost tokens are stored again, if it is the same store.
      generation: () => 0,
      operators: () => state()?.operators ?? [],
      keepsWrites: config.redis.durability === 'strict',
      givesIdentity: true,
      onRefused,
      onAccepted: () => events.storeAccepted(),
    }),
  );
  const onDropped = (name: string): void => events.resealProgressDropped(name);
  const signers = () => {
    const now = state();
    return now === undefined ? anchor.operators : possibleSigners(now);
  };
  const options = { domain, storeId: () => guard.id, operators: signers, onDropped };
  return { redis, guard, store: new RedisStore(writes, clock, options) };
}
