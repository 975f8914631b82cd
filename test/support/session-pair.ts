import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type DomainProof, isProofOf, type KnownDomain } from '@keyfleet/frontend/hsm/known-domain';
import { StreamOpening } from '@keyfleet/frontend/hsm/open-channel';
import { type HostSession, Negotiation } from '@keyfleet/frontend/hsm/negotiation';
import type { CommandHandlers } from '@keyfleet/hsm-worker/boundary/executor';
import type { DomainKey } from '@keyfleet/hsm-worker/boundary/domain/domain-secrets';
import type { Keyring } from '@keyfleet/hsm-worker/boundary/domain/keyring';
import { sessionFloor, takesSessionsUnder } from '@keyfleet/hsm-worker/boundary/domain/session-keys';
import { RefusedError } from '@keyfleet/hsm-worker/boundary/errors';
import { BackingKeyCache } from '@keyfleet/hsm-worker/boundary/keys/backing-keys';
import type { Installed } from '@keyfleet/hsm-worker/boundary/session';
import { type OpenStream, SessionService } from '@keyfleet/hsm-worker/boundary/session-service';
import type { SignedRequest } from '@keyfleet/hsm-worker/boundary/stream';
import { encodedPublicKey, signBytesOffLoop } from '@keyfleet/shared/domain/signature';
import { deactivatedAt, DomainState, type Member, type Role, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type CommandName, commands, type InputOf } from '@keyfleet/shared/hsm/commands';
import type { Command } from '@keyfleet/shared/hsm/define-command';
import {
  decodeReplies,
  encodeRequests,
  FrameOpener,
  FrameSealer,
  type ReplyEntry,
  type RequestEntry,
} from '@keyfleet/shared/hsm/frame';
import { type Protocols, protocols } from '@keyfleet/shared/hsm/protocol';
import { sha256, signedCommands, SignedMessage } from '@keyfleet/shared/hsm/session';
import type { StreamKeys } from '@keyfleet/shared/hsm/stream-keys';
import { takenBy } from './command-context.ts';
import { TestClock } from './domain.ts';
import { PoolTurns } from '@keyfleet/hsm-worker/boundary/crypto/pool-turns';
import { nobleSignatures } from './noble-signatures.ts';

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

/**
 * A domain of two members that share their domain keys, as installed and as a frontend has verified it; a test changes
 * it as it likes.
 */
export class FakeDomain implements KnownDomain {
  clock: TestClock;
  readonly identities: Record<'hsm-1' | 'hsm-2', KeyObject>;
  state: DomainState;
  keys: DomainKey[] = [newDomainKey()];
  /** What `verified` says; a test that forks the domain changes it. */
  hash: Buffer;
  /** What members proved to have, and is not the newest here. */
  readonly others: { readonly memberId: string; readonly generation: number }[] = [];
  /** A test that has members prove a newer token changes it. */
  unprovenMs: number | undefined;
  #sessionFloor: number;

  get provers(): readonly Member[] {
    return this.state.members;
  }

  async noteProof({ memberId }: Member, proof: DomainProof): Promise<boolean> {
    if (isProofOf(this.verified, proof)) return true;
    this.others.push({ memberId, generation: proof.generation });
    return false;
  }

  constructor(hosts: readonly Host[], domain = 'test', like?: FakeDomain) {
    this.clock = like?.clock ?? new TestClock();
    this.identities = like?.identities ?? { 'hsm-1': newIdentity(), 'hsm-2': newIdentity() };
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
      domainKeys: [this.#keyInfo(1)],
      backupHorizonMs: 0,
    };
    this.#sessionFloor = sessionFloor(this.state);
    this.hash = this.#hashOf(this.state);
  }

  /** The same domain as of now, for a process that will not hear of what happens to this one. */
  copy(): FakeDomain {
    const copy = new FakeDomain([], this.state.domain, this);
    const { state, keys, hash } = this;
    return Object.assign(copy, { state, keys, hash });
  }

  get verified(): VerifiedDomain {
    return { state: this.state, hash: this.hash };
  }
  async hear(): Promise<void> {}

  get installed(): Installed {
    const { state, keyring, hash: tokenHash } = this;
    const now = this.clock.now();
    const floor = this.#sessionFloor;
    const takesSessions = (id: string): boolean =>
      takesSessionsUnder(id, state, { floor, deactivatedAt: deactivatedAt(state, id), now });
    return { state, tokenHash, keyring, takesSessionsUnder: takesSessions };
  }

  get keyring(): Keyring {
    const { keys, state } = this;
    return {
      domain: this.state.domain,
      generation: this.state.generation,
      active: keys.at(-1)!,
      find: (id) => keys.find((key) => key.id === id),
      madeIn: (id) => state.domainKeys.find((key) => key.id === id)?.createdGeneration,
      isRetired: () => false,
      countSealing: () => {},
      materialIdKey: createSecretKey(Buffer.alloc(32)),
    };
  }

  /** Another state, as when a token is installed. */
  change(change: Partial<DomainState>): void {
    this.state = { ...this.state, generation: this.state.generation + 1, ...change };
    this.#sessionFloor = sessionFloor(this.state, this.#sessionFloor);
    this.hash = this.#hashOf(this.state);
  }

  /** The same with a new domain key. */
  rotate(change: Partial<DomainState> = {}): void {
    this.keys = [...this.keys, newDomainKey()];
    const old = this.state.domainKeys.map((key) => ({ ...key, status: 'deactivated' as const }));
    this.change({
      ...change,
      domainKeys: [...old, this.#keyInfo(this.state.generation + 1, change.members !== undefined)],
    });
  }

  /** A quorum takes a member out. */
  remove(memberId: string): void {
    this.rotate({ members: this.state.members.filter((member) => member.memberId !== memberId) });
  }

  /** A member restarts. */
  restart(): void {
    this.#sessionFloor = sessionFloor(this.state);
  }

  #keyInfo(createdGeneration: number, afterRemoval = false): DomainState['domainKeys'][number] {
    const { id } = this.keys.at(-1)!;
    return { id, createdGeneration, createdAt: this.clock.now(), status: 'active', afterRemoval };
  }

  #hashOf(state: DomainState): Buffer {
    return sha256(DomainState.encode(state));
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
  options: {
    handlers?: Partial<CommandHandlers>;
    maxInFlight?: { worker: number; stream: number };
    protocols?: Protocols | undefined;
  } = {},
): { service: SessionService; recorded: Recorded } {
  const recorded: Recorded = { signed: [], faults: [], unknownDomainKeys: 0 };
  const { clock } = domain;
  const backingKeys = new BackingKeyCache({ monotonicClock: clock, maxBytes: 64 << 20, maxAgeMs: 1000 });
  const rsaKeyPairs = takenBy(() => Promise.reject(new Error('no RSA key pairs in this test')));
  const service = new SessionService({
    member: {
      memberId,
      get installed() {
        return domain.installed;
      },
    },
    signWhenDurable: async (message) =>
      SignedMessage.encode({ message, signature: await signBytesOffLoop(domain.identities[memberId], message) }),
    handlers: { ...refusing(), ...options.handlers },
    context: () => ({
      keyring: domain.keyring,
      backingKeys,
      rsaKeyPairs,
      noble: { of: () => nobleSignatures },
      poolTurns: new PoolTurns(),
      clusters: new Map(),
      clock,
      random: randomBytes,
      nonce: randomBytes,
    }),
    clock,
    random: randomBytes,
    protocols: options.protocols,
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
export async function negotiate(
  domain: FakeDomain,
  host: Host,
  service: Pick<SessionService, 'negotiate'>,
): Promise<HostSession> {
  const negotiation = await Negotiation.start({ domain, host, clock: domain.clock });
  return negotiation.finish(await service.negotiate(negotiation.hello));
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
  readonly #opener: FrameOpener;

  static async open(service: SessionService, session: HostSession, domain: KnownDomain): Promise<HostEnd> {
    const opening = await StreamOpening.start(session, protocols);
    const accept = Promise.withResolvers<Uint8Array>();
    let end: HostEnd | undefined;
    const stream = await service.openStream(opening.open, (message) => {
      if (end === undefined) accept.resolve(message);
      else end.#receive(message);
    });
    const { keys } = await opening.finish(await accept.promise, domain);
    end = new HostEnd(stream, keys, session);
    return end;
  }

  private constructor(stream: OpenStream, keys: StreamKeys, session: HostSession) {
    this.stream = stream;
    this.keys = keys;
    this.#session = session;
    this.#sealer = new FrameSealer(keys.hostToMember);
    this.#opener = new FrameOpener(keys.memberToHost);
  }

  #receive(message: Uint8Array): void {
    this.received.push(message);
    this.replies.push(...decodeReplies(this.#opener.open(message)));
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
