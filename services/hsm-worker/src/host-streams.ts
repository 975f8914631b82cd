import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { Frame, Frame__Output } from '@keyfleet/proto/gen/keyfleet/hsm/v1/Frame';
import { networkOf } from '@keyfleet/shared/request-limit';
import { ProtocolVersionError } from '@keyfleet/shared/hsm/protocol';
import { TooManyStreamsError } from './boundary/host-load.ts';
import type { OpenStream, SessionService } from './boundary/session-service.ts';
import type { WorkerEvents } from './events.ts';

export type ExecuteCall = ServerDuplexStream<Frame__Output, Frame>;

export const refused = { code: status.UNAUTHENTICATED, details: 'refused' };
const empty = Buffer.alloc(0);
const SWEEP_MS = 1000;

export interface HostStreamsDeps {
  readonly sessions: Pick<SessionService, 'openStream'>;
  readonly events: Pick<WorkerEvents, 'streamOpened' | 'streamRefused' | 'streamOverLimit'>;
}

function peerOf(call: ExecuteCall): string {
  const address = call.getPeer();
  return networkOf(address.slice(0, address.lastIndexOf(':')));
}

/** The Execute calls of this worker. */
export class HostStreams implements Disposable {
  readonly #deps: HostStreamsDeps;
  readonly #streams = new Set<HostStream>();
  /** Ends idle streams that are over; a busy one ends with its next frame. */
  readonly #sweep = setInterval(() => this.#streams.forEach((stream) => stream.endIfOver()), SWEEP_MS).unref();

  constructor(deps: HostStreamsDeps) {
    this.#deps = deps;
  }

  /**
   * `onProven`: called once a frame shows that the peer is a service host. Its first message proves nothing: anyone may
   * have recorded it.
   */
  add(call: ExecuteCall, onProven: () => void): void {
    const stream = new HostStream(call, this.#deps, onProven);
    this.#streams.add(stream);
    for (const over of ['error', 'cancelled', 'close']) call.on(over, () => this.#streams.delete(stream));
  }

  /** Each stream ends once its commands are answered. */
  [Symbol.dispose](): void {
    clearInterval(this.#sweep);
    for (const stream of this.#streams) stream.finish();
  }
}

/** One Execute call: the first message opens the stream in the boundary, the others are frames. */
class HostStream {
  readonly #call: ExecuteCall;
  readonly #deps: HostStreamsDeps;
  readonly #onProven: () => void;
  #proven = false;
  #stream: OpenStream | undefined;
  #opening = false;
  #finishing = false;
  #over = false;

  constructor(call: ExecuteCall, deps: HostStreamsDeps, onProven: () => void) {
    this.#call = call;
    this.#deps = deps;
    this.#onProven = onProven;
    call.on('data', ({ body }: Frame__Output) => this.#receive(body ?? empty));
    call.on('drain', () => call.resume());
    call.on('end', () => this.finish());
    for (const over of ['error', 'cancelled', 'close']) call.on(over, () => this.#close());
  }

  /** Takes no more frames, and ends once its commands are answered. */
  finish(): void {
    this.#finishing = true;
    this.#endIfFinished();
  }

  /** Ends if the session is over or the stream crowded out: the host sends its commands on another stream. */
  endIfOver(): void {
    if (this.#finishing || this.#stream === undefined || this.#stream.valid) return;
    const { crowdedOut } = this.#stream;
    if (crowdedOut !== undefined) this.#deps.events.streamOverLimit(crowdedOut.message);
    this.finish();
  }

  #receive(body: Buffer): void {
    this.endIfOver();
    if (this.#finishing) return;
    if (this.#stream === undefined) return void this.#open(body);
    try {
      this.#stream.receive(body);
      this.#prove();
    } catch (error) {
      if (!(error instanceof TooManyStreamsError)) return this.#refuse();
      this.#deps.events.streamOverLimit(error.message);
      this.#refuse({ code: status.RESOURCE_EXHAUSTED, details: error.message });
    }
  }

  #prove(): void {
    if (this.#proven) return;
    this.#proven = true;
    this.#onProven();
  }

  async #open(body: Buffer): Promise<void> {
    // A peer that sends frames before it can have their keys is not a host.
    if (this.#opening) return this.#refuse();
    this.#opening = true;
    try {
      this.#stream = await this.#deps.sessions.openStream(body, (frame) => this.#send(frame), peerOf(this.#call));
      this.#deps.events.streamOpened();
      if (this.#over) this.#stream.close();
    } catch (error) {
      if (this.#over) return;
      const isProven = error instanceof ProtocolVersionError;
      this.#refuse(isProven ? { code: status.FAILED_PRECONDITION, details: error.message } : refused);
    }
  }

  /** One answer for a frame or a token that does not open; but a host learns why no protocol version fits. */
  #refuse(answer: { readonly code: status; readonly details: string } = refused): void {
    this.#deps.events.streamRefused();
    this.#finishing = true;
    this.#call.emit('error', answer);
  }

  #close(): void {
    this.#over = true;
    this.#stream?.close();
  }

  #send(frame: Uint8Array): void {
    if (this.#over) return;
    // A frontend that does not read its answers may not send more commands.
    if (!this.#call.write({ body: frame as Buffer })) this.#call.pause();
    if (this.#finishing) this.#endIfFinished();
  }

  #endIfFinished(): void {
    if ((this.#stream?.inFlight ?? 0) > 0) return;
    this.#over = true;
    this.#call.end();
  }
}
