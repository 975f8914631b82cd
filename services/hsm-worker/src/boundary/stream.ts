import { verify } from 'node:crypto';
import { SealCredential } from '@keyfleet/shared/hsm/commands';
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
import type { HostLoad, HostStream, TooManyStreamsError } from './host-load.ts';
import type { AcceptedStream } from './session.ts';

/**
 * The signed commands of one frame on which this member acted: proof for the audit record that the host asked for them.
 */
export interface SignedRequest {
  readonly hostId: string;
  readonly sessionId: Uint8Array;
  /**
   * What the host's delegated key signed, and the signature. Absent where one of the commands brings a secret that a
   * person chose: with its hash, or a signature of that, whoever reads the record could try passwords.
   */
  readonly proof?: { readonly statement: Uint8Array; readonly signature: Uint8Array };
}

export interface StreamDeps {
  readonly executor: Executor;
  /** The host's load, which its other streams share. */
  readonly load: HostLoad;
  readonly peer: string;
  /** Takes a sealed frame. */
  readonly send: (frame: Uint8Array) => void;
  readonly onSigned: (request: SignedRequest) => void;
}

const nothing = new Uint8Array();

/**
 * The member's end of one stream: opens frames, passes their commands to the executor, and seals each turn's answers.
 */
export class MemberStream implements CommandSource, HostStream {
  readonly #session: AcceptedStream;
  readonly #deps: StreamDeps;
  readonly #opener: FrameOpener;
  readonly #sealer: FrameSealer;
  #lastId = -1;
  #inFlight = 0;
  /**
   * Whether the stream counts against its host's limit. Not before its first frame, since anyone may have recorded the
   * message that opened it.
   */
  #joined = false;
  #lastFrame = 0;
  #crowdedOut: TooManyStreamsError | undefined;
  #answerPing = false;
  #settled: ReplyEntry[] = [];
  #closed = false;

  constructor(session: AcceptedStream, deps: StreamDeps) {
    this.#session = session;
    this.#deps = deps;
    this.#opener = new FrameOpener(session.keys.hostToMember);
    this.#sealer = new FrameSealer(session.keys.memberToHost);
  }

  get host(): HostLoad {
    return this.#deps.load;
  }

  get peer(): string {
    return this.#deps.peer;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Commands taken whose answers are not sent yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether the stream may still be used: it takes no frames once its session is over, or its place is another's. */
  get valid(): boolean {
    return this.#crowdedOut === undefined && this.#session.isValid();
  }

  get crowdedOut(): TooManyStreamsError | undefined {
    return this.#crowdedOut;
  }

  get lastFrame(): number {
    return this.#lastFrame;
  }

  /**
   * Takes the next sealed frame. Throws `FrameError` unless it is exactly the next one of a valid session, or
   * `TooManyStreamsError`. After either the stream is over.
   */
  receive(frame: Uint8Array): void {
    try {
      const { plain, entries, signature } = this.#open(frame);
      if (this.#joined) this.#lastFrame = this.#deps.load.nextFrame();
      else this.#join(plain);
      const { executor, load } = this.#deps;
      const bytes = plain.length;
      const room = load.inFlight.roomIn(bytes);
      load.inFlight.hold(bytes);
      this.#count(entries.length);
      // An empty frame is a ping.
      this.#answerPing ||= entries.length === 0;
      for (const { id } of entries.slice(room)) this.settle(id, 'overloaded');
      const isSigned = this.#proofOf(entries, signature);
      const onDone = (): void => {
        plain.fill(0);
        load.inFlight.hold(-bytes);
      };
      executor.submit({ source: this, entries: entries.slice(0, room), bytes, isSigned, onDone });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Sends and starts nothing from now on. Running commands count until they have their outcome. */
  close(): void {
    this.#closed = true;
    this.#leave();
    wipeOutputs(this.#settled);
    this.#count(-this.#settled.length);
    this.#settled = [];
  }

  crowdOut(reason: TooManyStreamsError): void {
    this.#crowdedOut = reason;
    this.#leave();
  }

  #leave(): void {
    if (this.#joined) this.#deps.load.leave(this);
    this.#joined = false;
  }

  #join(plain: Buffer): void {
    try {
      this.#deps.load.join(this);
      this.#joined = true;
    } catch (error) {
      plain.fill(0);
      throw error;
    }
  }

  #count(commands: number): void {
    this.#inFlight += commands;
    this.#deps.load.inFlight.add(commands);
  }

  /** The output may be sealed under a domain key; a host that was removed meanwhile must get nothing of it. */
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

  /** Verifies when first asked, once for all commands of the frame. */
  #proofOf(entries: readonly RequestEntry[], signature: Uint8Array | undefined): () => boolean {
    const { sessionId, keys, delegatedKey, hostId } = this.#session;
    let verified: boolean | undefined;
    return () => {
      if (verified !== undefined || signature === undefined) return verified ?? false;
      const signed = entries.filter((entry) => entry.signed);
      const statement = signedCommands({ sessionId, streamId: keys.streamId }, signed);
      verified = verify(null, statement, delegatedKey, signature);
      // A copy, because the frame is overwritten.
      const proof = { statement, signature: Buffer.from(signature) };
      const isGuessable = signed.some(({ code }) => code === SealCredential.code);
      if (verified) this.#deps.onSigned({ hostId, sessionId, ...(isGuessable ? {} : { proof }) });
      return verified;
    };
  }

  /** `plain`: the buffer that the entries are views of. */
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
