export interface Room {
  /** What the things of one peer may weigh together. */
  readonly perPeer: number;
  readonly inAll: number;
}

interface Share<T> {
  weight: number;
  /** The oldest first. */
  readonly weights: Map<T, number>;
}

/**
 * What peers have of something that is bounded. Nobody is refused: when a peer has too much, its oldest gives way, and
 * when all together have, the oldest of the peer that has most. So a stranger that fills the room takes nothing from
 * others, whose things are gone soon.
 */
export class FairRoom<T> {
  readonly #room: Room;
  readonly #giveWay: (thing: T) => void;
  readonly #shares = new Map<string, Share<T>>();
  #weight = 0;

  /** `giveWay` ends a thing, which has left the room by then. */
  constructor(room: Room, giveWay: (thing: T) => void) {
    this.#room = room;
    this.#giveWay = giveWay;
  }

  get weight(): number {
    return this.#weight;
  }

  /** Takes the thing in, or adds to its weight. */
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
