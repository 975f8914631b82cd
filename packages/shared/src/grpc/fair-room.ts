export interface Room {
  /** The maximum total weight for one peer. */
  readonly perPeer: number;
  readonly inAll: number;
}

interface Share<T> {
  weight: number;
  /** Oldest first. */
  readonly weights: Map<T, number>;
}

/**
 * Shares something limited among peers. Nobody is refused: if one peer has too much, its oldest item gives way; if all
 * together have too much, the oldest item of the peer with the most does. So a stranger that fills the room takes
 * nothing from others, whose items are soon gone.
 */
export class FairRoom<T> {
  readonly #room: Room;
  readonly #giveWay: (thing: T) => void;
  readonly #shares = new Map<string, Share<T>>();
  #weight = 0;

  /** `giveWay` ends an item that has already left the room. */
  constructor(room: Room, giveWay: (thing: T) => void) {
    this.#room = room;
    this.#giveWay = giveWay;
  }

  get weight(): number {
    return this.#weight;
  }

  /** Adds the item, or adds to its weight. */
  add(peer: string, thing: T, weight: number): void {
    let share = this.#shares.get(peer);
    if (share === undefined) this.#shares.set(peer, (share = { weight: 0, weights: new Map() }));
    share.weights.set(thing, (share.weights.get(thing) ?? 0) + weight);
    share.weight += weight;
    this.#weight += weight;
    while (share.weight > this.#room.perPeer) this.#shrink(peer, share);
    while (this.#weight > this.#room.inAll) this.#shrink(...this.#largest());
  }

  remove(peer: string, thing: T): void {
    const share = this.#shares.get(peer);
    const weight = share?.weights.get(thing);
    if (share === undefined || weight === undefined) return;
    share.weights.delete(thing);
    share.weight -= weight;
    this.#weight -= weight;
    if (share.weights.size === 0) this.#shares.delete(peer);
  }

  #shrink(peer: string, { weights }: Share<T>): void {
    const [oldest] = weights.keys();
    this.remove(peer, oldest!);
    this.#giveWay(oldest!);
  }

  #largest(): [string, Share<T>] {
    return [...this.#shares].reduce((most, one) => (one[1].weight > most[1].weight ? one : most));
  }
}
