/**
 * The most streams that one service host may have at once. A frontend has one, and briefly a second while it renews its
 * session. A frontend that restarts without closing leaves some behind.
 */
export const MAX_STREAMS_OF_HOST = 64;

/** The host has authenticated, so it may learn the reason. */
export class TooManyStreamsError extends Error {
  override name = 'TooManyStreamsError';

  constructor(hostId: string) {
    super(`${hostId} has ${MAX_STREAMS_OF_HOST} streams at this hsm-worker already`);
  }
}

/** The load of one service host on this worker, over all its streams. */
export class HostLoad {
  readonly #hostId: string;
  readonly #maxInFlight: number;
  #streams = 0;
  #inFlight = 0;

  constructor(hostId: string, maxInFlight: number) {
    this.#hostId = hostId;
    this.#maxInFlight = maxInFlight;
  }

  /** How many more commands it may send. */
  get room(): number {
    return Math.max(0, this.#maxInFlight - this.#inFlight);
  }

  /** Throws `TooManyStreamsError`. */
  join(): void {
    if (this.#streams >= MAX_STREAMS_OF_HOST) throw new TooManyStreamsError(this.#hostId);
    this.#streams++;
  }

  leave(): void {
    this.#streams--;
  }

  /** `commands`: the number taken, or if negative, answered or abandoned. */
  add(commands: number): void {
    this.#inFlight += commands;
  }
}
