import { verify } from 'node:crypto';
import {
  FrameError,
  FrameOpener,
  frameSized,
  FrameSealer,
  type ReplyEntry,
  type RequestEntry,
  type RequestFrame,
} from '@keyfleet/shared/hsm/frame';
import { signedCommands } from '@keyfleet/shared/hsm/session';
import { type CommandSource, type Executor, type Outcome, SESSION_OVER } from './executor.ts';
import type { HostLoad } from './host-load.ts';
import type { AcceptedStream } from './session.ts';

/**
 * Signed commands of one frame that this member acted on: the proof that the host asked for them, for the audit record.
 */
export interface SignedRequest {
  readonly hostId: string;
  readonly sessionId: Uint8Array;
  /** What the host's delegated key signed, and its signature. */
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
}

export interface StreamDeps {
  readonly executor: Executor;
  /** Of its host, which other streams share. */
  readonly load: HostLoad;
  /** Takes a sealed frame. */
  readonly send: (frame: Uint8Array) => void;
  readonly onSigned: (request: SignedRequest) => void;
}

const nothing = new Uint8Array();

/** The member's end of one stream: opens frames, hands their commands to the executor, seals the answers of a turn. */
export class MemberStream implements CommandSource {
  readonly #session: AcceptedStream;
  readonly #deps: StreamDeps;
  readonly #opener: FrameOpener;
  readonly #sealer: FrameSealer;
  #lastId = -1;
  #inFlight = 0;
  /** Counted among its host's: not before its first frame, since anyone may have recorded what opened it. */
  #joined = false;
  #answerPing = false;
  #settled: ReplyEntry[] = [];
  #closed = false;

  constructor(session: AcceptedStream, deps: StreamDeps) {
    this.#session = session;
    this.#deps = deps;
    this.#opener = new FrameOpener(session.keys.hostToMember);
    this.#sealer = new FrameSealer(session.keys.memberToHost);
  }

  get closed(): boolean {
    return this.#closed;
  }
  /** Commands taken whose answers are not sent. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether the session may still be used; a stream whose session is over takes no frame. */
  get valid(): boolean {
    return this.#session.isValid();
  }

  /**
   * Takes the next sealed frame. Throws `FrameError` for one that is not exactly the next of a valid session; the
   * stream is then over, as it is with `TooManyStreamsError`.
   */
  receive(frame: Uint8Array): void {
    try {
      const { plain, entries, signature } = this.#open(frame);
      this.#join(plain);
      const { room } = this.#deps.load;
      this.#count(entries.length);
      // An empty frame asks whether anyone is there.
      this.#answerPing ||= entries.length === 0;
      for (const { id } of entries.slice(room)) this.settle(id, 'overloaded');
      const isSigned = this.#proofOf(entries, signature);
      const onDone = (): void => void plain.fill(0);
      this.#deps.executor.submit({ source: this, entries: entries.slice(0, room), isSigned, onDone });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Nothing is sent or begun any more. What runs counts until it has its outcome. */
  close(): void {
    this.#closed = true;
    if (this.#joined) this.#deps.load.leave();
    this.#joined = false;
    wipeOutputs(this.#settled);
    this.#count(-this.#settled.length);
    this.#settled = [];
  }

  #join(plain: Buffer): void {
    if (this.#joined) return;
    try {
      this.#deps.load.join();
      this.#joined = true;
    } catch (error) {
      plain.fill(0);
      throw error;
    }
  }

  #count(commands: number): void {
    this.#inFlight += commands;
    this.#deps.load.add(commands);
  }

  /** What was done meanwhile may be sealed under a domain key that whoever left by its token must have nothing of. */
  settle(id: number, outcome: Outcome): void {
    if (typeof outcome === 'string') return this.#keep({ id, refusal: outcome, output: nothing });
    if (!this.#closed && this.valid) return this.#keep({ id, refusal: undefined, output: outcome });
    outcome.fill(0);
    this.#keep({ id, refusal: SESSION_OVER, output: nothing });
  }

  #keep(reply: ReplyEntry): void {
    if (this.#closed) this.#count(-1);
    else this.#settled.push(reply);
  }

  flush(): void {
    if (this.#closed) return;
    const settled = this.#settled;
    this.#settled = [];
    const frames = this.#answerPing && settled.length === 0 ? [[]] : frameSized(settled, ({ output }) => output);
    this.#answerPing = false;
    for (const replies of frames) {
      this.#count(-replies.length);
      this.#send(replies);
    }
  }

  #send(replies: readonly ReplyEntry[]): void {
    const plain = this.#session.layout.encodeReplies(replies);
    wipeOutputs(replies);
    try {
      this.#deps.send(this.#sealer.seal(plain));
    } finally {
      plain.fill(0);
    }
  }

  /** Verified when first asked for, and once for all commands of the frame. */
  #proofOf(entries: readonly RequestEntry[], signature: Uint8Array | undefined): () => boolean {
    const { sessionId, keys, delegatedKey, hostId } = this.#session;
    let verified: boolean | undefined;
    return () => {
      if (verified !== undefined || signature === undefined) return verified ?? false;
      const signed = entries.filter((entry) => entry.signed);
      const statement = signedCommands({ sessionId, streamId: keys.streamId }, signed);
      verified = verify(null, statement, delegatedKey, signature);
      // A copy: the frame is overwritten.
      if (verified) this.#deps.onSigned({ hostId, sessionId, statement, signature: Buffer.from(signature) });
      return verified;
    };
  }

  /** `plain`: what the entries are views of. */
  #open(frame: Uint8Array): RequestFrame & { plain: Buffer } {
    if (this.#closed || !this.valid) throw new FrameError();
    const plain = this.#opener.open(frame);
    try {
      const request = this.#session.layout.decodeRequests(plain);
      for (const { id } of request.entries) {
        if (id <= this.#lastId) throw new FrameError();
        this.#lastId = id;
      }
      return { plain, ...request };
    } catch (error) {
      plain.fill(0);
      throw error;
    }
  }
}

function wipeOutputs(replies: readonly ReplyEntry[]): void {
  for (const { output } of replies) output.fill(0);
}
