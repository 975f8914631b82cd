import type { Clock } from '@keyfleet/shared/clock';
import type { Peers } from '@keyfleet/shared/grpc/peers';
import type { Log } from '@keyfleet/shared/log';
import type { FrontendConfig } from './config.ts';
import type { FrontendEvents } from './events.ts';

/** What the parts of a frontend are put together with. */
export interface Assembly {
  readonly config: FrontendConfig;
  readonly clock: Clock;
  readonly events: FrontendEvents;
  readonly log: Log;
  readonly peers: Peers;
  /**
   * Owns all that is started. Disposed in reverse: the edges drain first, while everything that their last requests
   * need is still there.
   */
  readonly resources: AsyncDisposableStack;
}
