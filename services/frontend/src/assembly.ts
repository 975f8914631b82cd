import type { Clock } from '@keyfleet/shared/clock';
import type { Peers } from '@keyfleet/shared/grpc/peers';
import type { Log } from '@keyfleet/shared/log';
import type { FrontendConfig } from './config.ts';
import type { FrontendEvents } from './events.ts';

/** The pieces that the parts of a frontend are built from. */
export interface Assembly {
  readonly config: FrontendConfig;
  readonly clock: Clock;
  readonly events: FrontendEvents;
  readonly log: Log;
  readonly peers: Peers;
  /**
   * Owns everything that is started. Disposed in reverse order: the edges drain first, while everything that their last
   * requests need still exists.
   */
  readonly resources: AsyncDisposableStack;
}
