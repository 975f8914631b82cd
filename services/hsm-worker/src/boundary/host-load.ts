/**
 * Streams of one service host at once. A frontend has one, and a second for a moment when it renews its session; what
 * restarts without a farewell leaves some behind.
 */
export const MAX_STREAMS_OF_HOST = 64;

/** The host has proven to be one, so it may learn why. */
export class TooManyStreamsError extends Error {
  override name = 'TooManyStreamsError';

  constructor(hostId: string) {
    super(`${hostId} has ${MAX_STREAMS_OF_HOST} streams at this hsm-worker already`);
  }
}

/** What one service host has at this worker, over all its streams. */
export class HostLoad {
  readonly #hostId: string;
  readonly #maxInFlight: number;
  #streams = 0;
  #inFlight = 0;

  constructor(hostId: string, maxInFlight: number) {
    this.#hostId = hostId;
    this.#maxInFlight = maxInFlight;
  }

  /** For so many commands more. */
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

  /** `commands`: taken, or if negative answered or given up. */
  add(commands: number): void {
    this.#inFlight += commands;
  }
}
