import type { Clock } from '@keyfleet/shared/clock';
import type { Signer } from '@keyfleet/shared/domain/proposal';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { DomainManagerConfig } from './config.ts';
import type { DomainManagerEvents } from './events.ts';

/** What the parts of a domain-manager are assembled from. */
export interface Assembly {
  readonly config: DomainManagerConfig;
  readonly anchor: TrustAnchor;
  readonly scheduler: Signer;
  /** This replica's name. */
  readonly replica: string;
  readonly clock: Clock;
  readonly events: DomainManagerEvents;
  /** Owns everything that is started; disposed in reverse order. */
  readonly resources: AsyncDisposableStack;
}
