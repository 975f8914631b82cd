import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { Negotiation, type HostSession } from '@keyfleet/frontend/hsm/session';
import type { DomainKey, Keyring } from '@keyfleet/hsm-worker/boundary/domain/keyring';
import type { CommandHandlers } from '@keyfleet/hsm-worker/boundary/dispatch';
import type { SignedRequest } from '@keyfleet/hsm-worker/boundary/stream';
import { type OpenStream, SessionService } from '@keyfleet/hsm-worker/boundary/session-service';
import { BackingKeyCache } from '@keyfleet/hsm-worker/boundary/keys/backing-key-cache';
import { RefusedError } from '@keyfleet/hsm-worker/boundary/commands/command';
import { nobleSignatures } from '../../services/hsm-worker/src/boundary/crypto/noble-thread.ts';
import { encodedPublicKey, signBytes } from '@keyfleet/shared/domain/signature';
import type { DomainState, Role } from '@keyfleet/shared/domain/state';
import { type Command, commands, type CommandName, type InputOf } from '@keyfleet/shared/hsm/commands';
import {
  decodeReplies,
  encodeRequests,
  FrameOpener,
  FrameSealer,
  type ReplyEntry,
  type RequestEntry,
} from '@keyfleet/shared/hsm/frame';
import { signedCommands, SignedMessage, type StreamKeys, streamKeys, StreamOpen } from '@keyfleet/shared/hsm/session';
import { TestClock } from './domain.ts';

export interface Host {
  readonly operatorId: string;
  readonly privateKey: KeyObject;
}

/** A P-384 key pair under a name. */
export function newHost(operatorId = 'frontend-1'): Host {
  return { operatorId, privateKey: newIdentity() };
}

export function newIdentity(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
}

export function newDomainKey(): DomainKey {
  return { id: randomBytes(16).toString('hex'), key: createSecretKey(randomBytes(32)) };
}

/** A domain of two members that share their domain keys, as installed; a test changes `state` and `keys` as it likes. */
export class FakeDomain {
  readonly clock = new TestClock();
  readonly identities = { 'hsm-1': newIdentity(), 'hsm-2': newIdentity() };
  state: DomainState;
  keys: DomainKey[] = [newDomainKey()];

  constructor(hosts: readonly Host[], domain = 'test') {
    const agreementKey = encodedPublicKey(newIdentity());
    this.state = {
      version: 2,
      domain,
      generation: 1,
      madeAt: this.clock.now(),
      members: Object.entries(this.identities).map(([memberId, key]) => ({
        memberId,
        signingKey: encodedPublicKey(key),
        agreementKey,
      })),
      operators: hosts.map((host) => operatorOf(host, 'service-host')),
      rules: [],
      domainKeys: [],
      backupHorizonMs: 0,
    };
  }

  get keyring(): Keyring {
    const { keys } = this;
    return {
      domain: this.state.domain,
      generation: this.state.generation,
      active: keys.at(-1)!,
      find: (id) => keys.find((key) => key.id === id),
      isRetired: () => false,
      materialIdKey: createSecretKey(Buffer.alloc(32)),
    };
  }

  /** Another state, as when a token is installed. */
  change(change: Partial<DomainState>): void {
    this.state = { ...this.state, generation: this.state.generation + 1, ...change };
  }
}

export function operatorOf(host: Host, role: Role): DomainState['operators'][number] {
  return { operatorId: host.operatorId, role, signingKey: encodedPublicKey(host.privateKey) };
}

/** What happened in a worker's boundary. */
export interface Recorded {
  readonly signed: SignedRequest[];
  readonly faults: unknown[];
  unknownDomainKeys: number;
}

/** The boundary of one worker of the domain, with handlers that a test gives; others refuse. */
export function newWorker(
  domain: FakeDomain,
  memberId: 'hsm-1' | 'hsm-2' = 'hsm-1',
  options: { handlers?: Partial<CommandHandlers>; maxInFlight?: { worker: number; stream: number } } = {},
): { service: SessionService; recorded: Recorded } {
  const recorded: Recorded = { signed: [], faults: [], unknownDomainKeys: 0 };
  const { clock } = domain;
  const backingKeys = new BackingKeyCache({ clock, capacity: 10, maxAgeMs: 1000 });
  const rsaKeyPairs = { take: () => Promise.reject(new Error('no RSA key pairs in this test')) };
  const service = new SessionService({
    member: {
      memberId,
      get installed() {
        return { state: domain.state, keyring: domain.keyring };
      },
      signMessage: (message) =>
        SignedMessage.encode({ message, signature: signBytes(domain.identities[memberId], message) }),
    },
    handlers: { ...refusing(), ...options.handlers },
    context: () => ({
      keyring: domain.keyring,
      backingKeys,
      rsaKeyPairs,
      noble: nobleSignatures,
      clock,
      random: randomBytes,
      nonce: randomBytes,
    }),
    clock,
    random: randomBytes,
    maxInFlight: options.maxInFlight ?? { worker: 1000, stream: 1000 },
    events: {
      unknownDomainKey: () => recorded.unknownDomainKeys++,
      signedRequest: (request) => recorded.signed.push(request),
      fault: (_command, error) => recorded.faults.push(error),
    },
  });
  return { service, recorded };
}

function refusing(): CommandHandlers {
  const refuse = (): never => {
    throw new RefusedError('cannot-open');
  };
  const names = Object.keys(commands) as CommandName[];
  return Object.fromEntries(names.map((name) => [name, refuse])) as unknown as CommandHandlers;
}

/** A session of the host with the domain, made with this worker. */
export function negotiate(domain: FakeDomain, host: Host, service: SessionService): HostSession {
  const negotiation = new Negotiation({ domain: domain.state.domain, host, clock: domain.clock });
  return negotiation.finish(service.negotiate(negotiation.hello), domain.state);
}

/** The host's end of one stream, frame by frame: what a test needs to misbehave. */
export class HostEnd {
  readonly replies: ReplyEntry[] = [];
  /** The sealed frames that brought the replies. */
  readonly received: Uint8Array[] = [];
  readonly stream: OpenStream;
  readonly keys: StreamKeys;
  readonly #session: HostSession;
  readonly #sealer: FrameSealer;

  constructor(service: SessionService, session: HostSession) {
    const open = StreamOpen.encode({ sessionToken: session.sessionToken, nonce: randomBytes(32) });
    const messages: Uint8Array[] = [];
    let opener: FrameOpener | undefined;
    this.stream = service.openStream(open, (message) => {
      if (opener === undefined) return void messages.push(message);
      this.received.push(message);
      this.replies.push(...decodeReplies(opener.open(message)));
    });
    this.keys = streamKeys(session.sessionKey, open, messages[0]!);
    opener = new FrameOpener(this.keys.memberToHost);
    this.#session = session;
    this.#sealer = new FrameSealer(this.keys.hostToMember);
  }

  /** Seals the next frame, under whatever signature. */
  seal(entries: readonly RequestEntry[], signature?: Uint8Array): Buffer {
    return this.#sealer.seal(encodeRequests({ entries, signature: signature ?? undefined }));
  }

  /** Sends the next frame, signed as it should be. */
  send(...entries: RequestEntry[]): void {
    this.stream.receive(this.seal(entries, this.signature(entries)));
  }

  entry<N extends CommandName>(id: number, name: N, input: InputOf<N>): RequestEntry {
    const command: Command = commands[name];
    const { code, signed } = command;
    return { id, code, remainingMs: 1000, signed, trace: undefined, input: command.input.encode(input) };
  }

  /** What this host's delegated key signs of a frame in this stream. */
  signature(entries: readonly RequestEntry[]): Buffer | undefined {
    const signed = entries.filter((entry) => entry.signed);
    if (signed.length === 0) return undefined;
    const { sessionId, delegatedKey } = this.#session;
    return sign(null, signedCommands({ sessionId, streamId: this.keys.streamId }, signed), delegatedKey);
  }

  /** Lets the worker run what it took: its commands run after the turn that brought them. */
  async settled(): Promise<ReplyEntry[]> {
    while (this.stream.inFlight > 0) await setImmediate();
    return this.replies;
  }
}
