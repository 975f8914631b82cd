import { MAX_FRAME_BYTES } from '@keyfleet/shared/hsm/frame';

/** The most frontends that may share one host key. */
export const MAX_FRONTENDS_OF_HOST = 32;

/**
 * The most streams that one service host may have at once. A frontend has one, and briefly a second while it renews its
 * session. A frontend that restarts without closing leaves some behind.
 */
export const MAX_STREAMS_OF_HOST = 2 * MAX_FRONTENDS_OF_HOST;

/**
 * A frame stays in memory until its last command has its outcome: beyond so many bytes for each command that may be in
 * flight, commands are refused as too many are. Few have more: ReEncrypt, where each character of two long encryption
 * contexts takes three bytes. The slow ones of an honest host do not each keep a frame of that size.
 */
const BYTES_OF_COMMAND = 32 * 1024;

/** The commands in flight, taken and not yet answered, of one host or of all, and the frames that they are in. */
export class InFlight {
  readonly #maxCommands: number;
  readonly #maxBytes: number;
  #commands = 0;
  #bytes = 0;

  constructor(maxCommands: number) {
    this.#maxCommands = maxCommands;
    this.#maxBytes = MAX_FRAME_BYTES + maxCommands * BYTES_OF_COMMAND;
  }

  get commands(): number {
    return this.#commands;
  }

  /** How many commands may be taken of a frame of so many bytes. */
  roomIn(bytes: number): number {
    return this.#bytes + bytes > this.#maxBytes ? 0 : Math.max(0, this.#maxCommands - this.#commands);
  }

  /** The number taken, or if negative, answered or abandoned. */
  add(commands: number): void {
    this.#commands += commands;
  }

  /** The bytes of a frame that was taken, or if negative, of one that is needed no more. */
  hold(bytes: number): void {
    this.#bytes += bytes;
  }
}

/** The host has authenticated, so it may learn the reason. */
export class TooManyStreamsError extends Error {
  override name = 'TooManyStreamsError';

  constructor(hostId: string) {
    super(`${hostId} has ${MAX_STREAMS_OF_HOST} streams at this hsm-worker already`);
  }
}

/** A stream of the host, as far as the others are concerned. */
export interface HostStream {
  /** From where it comes: an IP network. */
  readonly peer: string;
  /** Commands taken whose answers are not sent yet. */
  readonly inFlight: number;
  /** Rises with each frame of any of the host's streams; 0 before the second, which proves that the host has it. */
  readonly lastFrame: number;
  /** Another takes its place, for this reason. */
  crowdOut(reason: TooManyStreamsError): void;
}

/** The load of one service host on this worker, over all its streams. */
export class HostLoad {
  readonly inFlight: InFlight;
  readonly #hostId: string;
  readonly #streams = new Set<HostStream>();
  #frames = 0;

  constructor(hostId: string, maxInFlight: number) {
    this.#hostId = hostId;
    this.inFlight = new InFlight(maxInFlight);
  }

  /** The number of the next frame. */
  nextFrame(): number {
    return ++this.#frames;
  }

  /**
   * If no place is left, takes that of an idle stream: first of one without a second frame, then of the peer that has
   * most streams, then of the one that has been silent longest. A hostile member can pass on how a host opens its
   * streams and keep them open, but it has not the keys for another frame, and they come from it. Throws
   * `TooManyStreamsError` if none is idle.
   */
  join(stream: HostStream): void {
    if (this.#streams.size >= MAX_STREAMS_OF_HOST) this.#makeRoom();
    this.#streams.add(stream);
  }

  leave(stream: HostStream): void {
    this.#streams.delete(stream);
  }

  #makeRoom(): void {
    const reason = new TooManyStreamsError(this.#hostId);
    const idle = [...this.#streams].filter(({ inFlight }) => inFlight === 0);
    if (idle.length === 0) throw reason;
    const byPeer = Map.groupBy(this.#streams, ({ peer }) => peer);
    const crowd = ({ peer }: HostStream): number => byPeer.get(peer)!.length;
    const isProven = ({ lastFrame }: HostStream): number => Number(lastFrame > 0);
    const [first] = idle.toSorted(
      (one, other) => isProven(one) - isProven(other) || crowd(other) - crowd(one) || one.lastFrame - other.lastFrame,
    );
    first!.crowdOut(reason);
  }
}
