import type { Clock } from '@keyfleet/shared/clock';
import type { CommandName } from '@keyfleet/shared/hsm/commands';
import { type Protocols, protocols as ownProtocols } from '@keyfleet/shared/hsm/protocol';
import type { CommandContext } from './commands/command.ts';
import type { Random } from './crypto/random.ts';
import { type CommandHandlers, type CommandObserver, Dispatcher, Executor } from './executor.ts';
import { HostLoad, type TooManyStreamsError } from './host-load.ts';
import { type SessionMember, Sessions, type SignWhenDurable } from './session.ts';
import { MemberStream, type SignedRequest } from './stream.ts';

/** What the boundary reports to the shell; none of it is secret. */
export interface SessionEvents {
  /**
   * Something arrived that was sealed under a domain key this member does not have: there may be a newer domain token.
   */
  unknownDomainKey(): void;
  signedRequest(request: SignedRequest): void;
  /** A command handler failed with something other than a refusal. */
  fault(command: CommandName, error: unknown): void;
}

export interface SessionServiceOptions {
  readonly member: SessionMember;
  readonly signWhenDurable: SignWhenDurable;
  readonly handlers: CommandHandlers;
  /** Undefined while the HSM belongs to no domain. */
  readonly context: () => CommandContext | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Default: those of this release. */
  readonly protocols?: Protocols | undefined;
  /** Maximum of commands in flight, for the whole worker and for one host. */
  readonly maxInFlight: { readonly worker: number; readonly stream: number };
  readonly events: SessionEvents;
  readonly observer?: CommandObserver | undefined;
}

export interface OpenStream {
  readonly inFlight: number;
  /** False once the session is over or `crowdedOut`: the stream takes no more frames and should end. */
  readonly valid: boolean;
  /** The host has so many streams that another took the place of this one. */
  readonly crowdedOut: TooManyStreamsError | undefined;
  /**
   * Throws `FrameError` unless the frame is exactly the next one of a valid session. At the first frame, throws
   * `TooManyStreamsError` if the host already has enough streams that are busy. After either the stream is over.
   */
  receive(frame: Uint8Array): void;
  close(): void;
}

/** The sessions and streams of one HSM: all that the shell needs to serve service hosts. Bytes in, bytes out. */
export class SessionService {
  readonly #options: SessionServiceOptions;
  readonly #sessions: Sessions;
  readonly #executor: Executor;
  /** By host: those of the domain, at most a thousand. */
  readonly #loads = new Map<string, HostLoad>();

  constructor(options: SessionServiceOptions) {
    const {
      member,
      signWhenDurable,
      handlers,
      context,
      clock,
      random,
      protocols = ownProtocols,
      maxInFlight,
      events,
      observer,
    } = options;
    const onUnknownDomainKey = (): void => events.unknownDomainKey();
    const dispatcher = new Dispatcher({
      handlers,
      context,
      onUnknownDomainKey,
      onFault: (command, error) => events.fault(command, error),
    });
    this.#options = options;
    this.#sessions = new Sessions({ member, signWhenDurable, clock, random, protocols, onUnknownDomainKey });
    this.#executor = new Executor({ dispatcher, clock, maxInFlight: maxInFlight.worker, observer });
  }

  /** Commands running or waiting to run. */
  get inFlight(): number {
    return this.#executor.inFlight;
  }

  /** Answers a signed hello. Throws `SessionRefusedError`. */
  negotiate(signedHello: Uint8Array): Promise<Uint8Array> {
    return this.#sessions.negotiate(signedHello);
  }

  /**
   * Sends the first message of an accepted stream; sealed frames follow as commands finish. `peer`: the network that it
   * comes from. Throws `SessionRefusedError` or `ProtocolVersionError`.
   */
  async openStream(open: Uint8Array, send: (message: Uint8Array) => void, peer = ''): Promise<OpenStream> {
    const session = await this.#sessions.accept(open);
    const { maxInFlight, events } = this.#options;
    const { hostId } = session;
    const load = this.#loads.getOrInsertComputed(hostId, () => new HostLoad(hostId, maxInFlight.stream));
    send(session.accept);
    return new MemberStream(session, {
      executor: this.#executor,
      load,
      peer,
      send,
      onSigned: (request) => events.signedRequest(request),
    });
  }
}
