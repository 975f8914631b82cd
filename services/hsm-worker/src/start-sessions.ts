import { randomBytes } from 'node:crypto';
import { systemClock } from '@keyfleet/shared/clock';
import { contextOf } from './boundary/commands/command.ts';
import { handlers } from './boundary/commands/handlers.ts';
import { NobleThread } from './boundary/crypto/noble-thread.ts';
import { PoolTurns } from './boundary/crypto/pool-turns.ts';
import { newNonceSource } from './boundary/crypto/random.ts';
import type { Hsm } from './boundary/hsm.ts';
import type { BackingKeyCache } from './boundary/keys/backing-keys.ts';
import { RsaKeyPool } from './boundary/keys/rsa-key-pool.ts';
import type { Cluster } from './boundary/pkcs11/cluster.ts';
import type { SignWhenDurable } from './boundary/session.ts';
import { SessionService } from './boundary/session-service.ts';
import type { WorkerConfig } from './config.ts';
import type { WorkerEvents } from './events.ts';
import { commandObserver } from './observe-commands.ts';

export interface SessionsDeps {
  readonly hsm: Hsm;
  readonly signWhenDurable: SignWhenDurable;
  readonly backingKeys: BackingKeyCache;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly events: WorkerEvents;
  readonly resources: AsyncDisposableStack;
}

export interface HostSessions {
  readonly sessions: SessionService;
  /** Empty until told to fill. */
  readonly rsaKeyPairs: RsaKeyPool;
}

/** Everything that a command runs with. */
export function startSessions(
  config: WorkerConfig,
  { hsm, signWhenDurable, backingKeys, clusters, events, resources }: SessionsDeps,
): HostSessions {
  const clock = systemClock;
  const rsaKeyPairs = resources.use(new RsaKeyPool(config.rsaKeyPool));
  const noble = resources.use(new NobleThread());
  const poolTurns = new PoolTurns();
  const nonce = newNonceSource();
  const sessions = new SessionService({
    member: hsm,
    signWhenDurable,
    handlers,
    observer: commandObserver(),
    context: contextOf(hsm, {
      backingKeys,
      rsaKeyPairs,
      noble,
      poolTurns,
      clusters,
      clock,
      random: randomBytes,
      nonce,
    }),
    clock,
    random: randomBytes,
    maxInFlight: config.maxInFlight,
    events,
  });
  return { sessions, rsaKeyPairs };
}
