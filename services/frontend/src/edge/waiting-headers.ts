import { FairRoom } from '@keyfleet/shared/grpc/fair-room';
import type { Connection } from './sender.ts';

/**
 * Bytes of headers of strangers' calls that wait for their turn; each byte takes some four in memory. Beyond that a
 * connection of the peer with the most is ended. An honest client's calls have 1 to 5 KB, and no longer wait once one
 * of them was answered: fifty clients of one address may begin with 64 calls at once, and nobody is charged for it.
 */
const ROOM = { perPeer: 16_777_216, inAll: 33_554_432 };

/** A call that waits. */
export interface Waiting {
  readonly connection: Connection;
}

/** The headers of all calls of a port that wait. */
export class WaitingHeaders {
  readonly #room = new FairRoom<Waiting>(ROOM, ({ connection }) => void connection.socket.destroy());

  /** Until `remove`. Proxied calls are their senders', and known callers' do not wait. */
  add(waiting: Waiting, bytes: number): void {
    this.#room.add(waiting.connection.peer.network, waiting, bytes);
  }

  remove(waiting: Waiting): void {
    this.#room.remove(waiting.connection.peer.network, waiting);
  }
}
