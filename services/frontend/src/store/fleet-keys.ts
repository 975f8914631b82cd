import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { type Clock, monotonicClock as ofThisProcess } from '@keyfleet/shared/clock';
import { activeDomainKey, CHANGEOVER_MS, type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { ivLength, type SealingKey } from '@keyfleet/shared/encoding/aead';
import { accessKeyIdOf, domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { type HsmCommands, HsmRefusedError, HsmUnavailableError } from '../hsm/commands.ts';
import { FLEET_PRINCIPAL } from '../hsm/client.ts';
import { isAnother, isDoubtful, isForeign } from './fleet-key-problems.ts';
import type { DamagedRecordError, FleetKeyStore } from './store.ts';

/**
 * The longest life of temporary credentials, plus the time for which a key that is no longer the newest may be used.
 */
const LIVES_MS = 36 * 3_600_000 + CHANGEOVER_MS;
/** While workers change over to a new domain key: how long the previous key is used before they are asked again. */
const ASK_AGAIN_MS = 2_000;
const ATTEMPTS = 5;
/** What putting back waits for HSMs. */
const COMMAND_TIMEOUT_MS = 5_000;

/** The purpose of the keys. */
export interface FleetKeysName {
  /** Where they are stored; also part of the name that each is sealed under. */
  readonly name: string;
  /** The HKDF info. */
  readonly info: string;
  /**
   * Whether to accept, for a while, what was made before somebody left: only where that gains nothing for a holder of
   * the key (docs/domain.md).
   */
  readonly outlivesRemovals: boolean;
}

/** The domain as known to this frontend. */
export interface FleetDomain {
  readonly state: DomainState | undefined;
  /** Fetches newer domain tokens if there are any. Never rejects. */
  refresh(): Promise<void>;
}

export interface FleetKeysDeps {
  readonly store: FleetKeyStore;
  readonly hsm: HsmCommands;
  readonly domain: FleetDomain;
  readonly clock: Clock;
  /** For measuring durations. */
  readonly monotonicClock?: Clock;
  readonly events: { fleetKeyDropped(foreign: DamagedRecordError): void };
}

export interface FleetKey {
  /** 32 hexadecimal digits. */
  readonly domainKeyId: string;
  /** 32 bytes. */
  readonly key: KeyObject;
}

/**
 * Keys that only frontends have, and all of them: one for each domain key, made by whichever frontend needs it first.
 * Each is a credential that nobody signs with (docs/decisions/0004). It names its domain key and is sealed under that
 * very key for good, so a member that left before can neither have had it made nor open it. It is never resealed, and
 * it is forgotten when nothing made with it is accepted any more.
 */
export class FleetKeys {
  readonly #name: FleetKeysName;
  readonly #deps: FleetKeysDeps;
  readonly #monotonic: Clock;
  readonly #finding = new SingleFlight<FleetKey>();
  readonly #opening = new Map<string, Promise<KeyObject | undefined>>();
  #opened = new Map<string, Opened>();
  /** The state that `acceptedUntil` was computed from. Times are by the clock, in milliseconds since the epoch. */
  #judged: DomainState | undefined;
  #acceptedUntil: ReadonlyMap<string, number> = new Map();
  /** Used instead of the active domain key's while workers do not seal under that yet. */
  #meanwhile: { readonly key: FleetKey; readonly insteadOf: string; readonly until: number } | undefined;

  constructor(name: FleetKeysName, deps: FleetKeysDeps) {
    this.#name = name;
    this.#deps = deps;
    this.#monotonic = deps.monotonicClock ?? ofThisProcess;
  }

  /** The key for making new things. Almost always cached; otherwise a promise. */
  newest(deadline: number): FleetKey | Promise<FleetKey> {
    const { id } = activeDomainKey(this.#state());
    const opened = this.#opened.get(id);
    if (opened !== undefined) return { domainKeyId: id, key: opened.key };
    const meanwhile = this.#meanwhile;
    if (meanwhile?.insteadOf === id && this.#monotonic.now() < meanwhile.until) return meanwhile.key;
    return this.#finding.run(() => this.#findNewest(id, deadline));
  }

  /**
   * Undefined if there is no such key, or nothing made with it is accepted (any more). The caller may be a stranger.
   */
  find(domainKeyId: string, deadline: number): KeyObject | undefined | Promise<KeyObject | undefined> {
    const state = this.#state();
    if (this.accepts(domainKeyId)) return this.#opened.get(domainKeyId)?.key ?? this.#open(domainKeyId, deadline);
    const isKnown = state.domainKeys.some(({ id }) => id === domainKeyId);
    return isKnown ? undefined : this.#findNew(domainKeyId, deadline);
  }

  /** Whether things made with this domain key's key are still accepted. */
  accepts(domainKeyId: string): boolean {
    const { domain, clock } = this.#deps;
    if (domain.state !== this.#judged) this.#judge(domain.state);
    return clock.now() < (this.#acceptedUntil.get(domainKeyId) ?? 0);
  }

  forget(): void {
    this.#opened = new Map();
    this.#meanwhile = undefined;
  }

  /**
   * Puts back what is missing in the store: a frontend that starts would make another key, and each would refuse what
   * the other's callers were given. So is what is in place of one and none at all. Throws DamagedRecordError if another
   * key is there.
   */
  async putBack(): Promise<void> {
    const { store } = this.#deps;
    const { name } = this.#name;
    for (const [id, opened] of this.#opened) {
      const stored = await store.findFleetKey(name, id);
      // Meanwhile it may have been dropped, or all of them forgotten for another store.
      if (this.#opened.get(id) !== opened || !this.accepts(id)) continue;
      if (stored !== undefined) {
        if (Buffer.compare(stored, opened.token) === 0) continue;
        const secret = await this.#secretIn(stored, id, this.#deps.clock.now() + COMMAND_TIMEOUT_MS);
        secret?.fill(0);
        if (secret !== undefined) throw isAnother(name, id);
      }
      if (this.#opened.get(id) === opened) await store.insertFleetKey(name, id, opened.token);
    }
  }

  #state(): DomainState {
    const { state } = this.#deps.domain;
    // No worker is used then, either.
    if (state === undefined) throw new HsmUnavailableError('timed-out');
    return state;
  }

  #judge(state: DomainState | undefined): void {
    const until = new Map<string, number>();
    const { domainKeys = [] } = state ?? {};
    for (const [i, key] of domainKeys.entries()) {
      const isOut = key.status === 'retired' || (!this.#name.outlivesRemovals && !isSinceRemoval(state!, key.id));
      if (!isOut) until.set(key.id, (domainKeys[i + 1]?.createdAt ?? Infinity) + LIVES_MS);
    }
    this.#judged = state;
    this.#acceptedUntil = until;
    if (state !== undefined) for (const id of this.#opened.keys()) if (!until.has(id)) this.#opened.delete(id);
  }

  /**
   * The key of the active domain key. While workers do not seal under that yet, the key of the one they do seal under.
   */
  async #findNewest(active: string, deadline: number): Promise<FleetKey> {
    for (let [attempt, domainKeyId] = [0, active]; attempt < ATTEMPTS; attempt++) {
      const key = await this.#open(domainKeyId, deadline);
      if (key !== undefined) {
        const found = { domainKeyId, key };
        const until = this.#monotonic.now() + ASK_AGAIN_MS;
        this.#meanwhile = domainKeyId === active ? undefined : { key: found, insteadOf: active, until };
        return found;
      }
      const sealedUnder = await this.#make(domainKeyId, deadline);
      domainKeyId = isSinceRemoval(this.#state(), sealedUnder) ? sealedUnder : active;
    }
    throw new HsmUnavailableError('timed-out');
  }

  /** Returns the domain key under which workers seal; stores the new key only if it is this one. */
  async #make(domainKeyId: string, deadline: number): Promise<string> {
    const { store, hsm } = this.#deps;
    const made = await hsm.execute('GenerateCredential', this.#sealedFor(domainKeyId), deadline);
    made.secretAccessKey.fill(0);
    const sealedUnder = domainKeyIdOf(made.token);
    if (sealedUnder !== domainKeyId) return sealedUnder;
    await store.insertFleetKey(this.#name.name, domainKeyId, made.token);
    // Nobody waits for this, and the next call does what this one could not.
    void this.#dropOld().catch(() => {});
    return sealedUnder;
  }

  /** A domain key unknown to this frontend is either newer than all it knows or was dropped, so its key stays. */
  async #dropOld(): Promise<void> {
    const { store } = this.#deps;
    const { domainKeys } = this.#state();
    const old = domainKeys.filter(({ id }) => !this.accepts(id)).map(({ id }) => id);
    for (const id of await store.listFleetKeys(this.#name.name, old)) await store.dropFleetKey(this.#name.name, id);
  }

  /** Strangers can name anything, so the domain-managers are asked only for keys that are stored. */
  async #findNew(domainKeyId: string, deadline: number): Promise<KeyObject | undefined> {
    const { store, domain } = this.#deps;
    if ((await store.findFleetKey(this.#name.name, domainKeyId)) === undefined) return undefined;
    await domain.refresh();
    return this.accepts(domainKeyId) ? this.#open(domainKeyId, deadline) : undefined;
  }

  /** Concurrent callers wait for the same command. */
  #open(domainKeyId: string, deadline: number): Promise<KeyObject | undefined> {
    const opening =
      this.#opening.get(domainKeyId) ??
      this.#load(domainKeyId, deadline).finally(() => this.#opening.delete(domainKeyId));
    this.#opening.set(domainKeyId, opening);
    return opening;
  }

  async #load(domainKeyId: string, deadline: number): Promise<KeyObject | undefined> {
    const { name, info } = this.#name;
    const token = await this.#deps.store.findFleetKey(name, domainKeyId);
    const secret = token && (await this.#secretIn(token, domainKeyId, deadline));
    if (token === undefined || secret === undefined) return undefined;
    const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', info, 32)));
    secret.fill(0);
    if (this.accepts(domainKeyId)) this.#opened.set(domainKeyId, { key, token });
    return key;
  }

  /**
   * Undefined for what is no key: it is dropped, as long as nobody has put another in its place. Anyone who writes to
   * Redis can leave it there, and no frontend would make a key meanwhile. A member alone does not decide that.
   */
  async #secretIn(token: Uint8Array, domainKeyId: string, deadline: number): Promise<Uint8Array | undefined> {
    const { store, hsm, events } = this.#deps;
    const { name } = this.#name;
    const sealedFor = this.#sealedFor(domainKeyId);
    if (isSealedFor(token, { domainKeyId, accessKeyId: sealedFor.accessKeyId })) {
      try {
        return (await hsm.execute('OpenCredential', { ...sealedFor, token }, deadline)).secretAccessKey;
      } catch (error) {
        if (!(error instanceof HsmRefusedError) || error.refusal !== 'cannot-open') throw error;
        if (!error.isConfirmed) throw isDoubtful(name, domainKeyId);
      }
    }
    await store.dropFleetKey(name, domainKeyId, token);
    events.fleetKeyDropped(isForeign(name, domainKeyId));
    return undefined;
  }

  #sealedFor(domainKeyId: string): { readonly accessKeyId: string; readonly principal: string } {
    return { accessKeyId: `keyfleet-${this.#name.name}/${domainKeyId}`, principal: FLEET_PRINCIPAL };
  }
}

/** What was opened, and from what. */
interface Opened {
  readonly key: KeyObject;
  readonly token: Uint8Array;
}

const SEALING_KEY_LENGTH = 32;

/** Seals one thing under a fleet key. `salt`: fresh for each, so that the derived key and IV seal nothing else. */
export function sealingKeyOf(key: KeyObject, salt: Uint8Array, info: string): Pick<SealingKey, 'key' | 'iv'> {
  const derived = Buffer.from(hkdfSync('sha256', key, salt, info, SEALING_KEY_LENGTH + ivLength));
  return { key: derived.subarray(0, SEALING_KEY_LENGTH), iv: derived.subarray(SEALING_KEY_LENGTH) };
}

/** Whether no party that has left can have had anything sealed under this domain key. */
function isSinceRemoval(state: DomainState, domainKeyId: string): boolean {
  const key = state.domainKeys.find(({ id }) => id === domainKeyId);
  return key !== undefined && key.createdGeneration >= (newestAfterRemoval(state)?.createdGeneration ?? 0);
}

/** By its header, which no member opens as anything else. */
function isSealedFor(
  token: Uint8Array,
  { domainKeyId, accessKeyId }: { readonly domainKeyId: string; readonly accessKeyId: string },
): boolean {
  try {
    return domainKeyIdOf(token) === domainKeyId && accessKeyIdOf(token) === accessKeyId;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
