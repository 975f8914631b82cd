import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { accessKeyIdOf, domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { isFleetSecretOf } from '@keyfleet/shared/hsm/fleet-secret';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import type { HsmCommands } from '../hsm/commands.ts';
import { FLEET_PRINCIPAL } from '../hsm/client.ts';
import { DamagedRecordError, type FleetSecretStore } from './store.ts';

/**
 * A key that only frontends have, and all of them: sealed as a credential that nobody signs with (docs/decisions/0004).
 */
export interface FleetKeyName {
  /**
   * Where its token is stored. Its credential has the access key id `keyfleet-<name>/<domain key id>`, with the domain
   * key that it was first sealed under; `keyfleet-<name>` in the first releases.
   */
  readonly name: string;
  /** The HKDF info: the key's purpose. */
  readonly info: string;
}

export interface FleetKeyDeps {
  readonly secrets: FleetSecretStore;
  readonly hsm: HsmCommands;
  /** The domain as known here. */
  readonly domain: { readonly state: DomainState | undefined };
  /** Throws if this is another key than the one that was used before. */
  readonly assertSame: (key: KeyObject) => void;
}

/**
 * Throws if this is not the token to open under the name, as when somebody put another in its place. `isNew`: an HSM
 * has just made it, and it is not stored yet.
 */
export type AssertOurs = (token: Uint8Array, isNew: boolean) => void;

export interface Opened {
  readonly key: KeyObject;
  readonly token: Uint8Array;
  /** The newest state by which the token is one that frontends made. */
  readonly judgedBy: DomainState | undefined;
}

/**
 * Opened once in a frontend's life. A newer domain token may bring a removal, so the token that the key was in is
 * judged again. The key is not opened again: no worker can change it.
 */
export class FleetKey {
  readonly #name: FleetKeyName;
  readonly #deps: FleetKeyDeps;
  readonly #loading = new SingleFlight<KeyObject>();
  readonly #making = new SingleFlight<KeyObject>();
  #opened: Opened | undefined;

  constructor(name: FleetKeyName, deps: FleetKeyDeps) {
    this.#name = name;
    this.#deps = deps;
  }

  /** 32 bytes. A promise only until the key is loaded. Throws DamagedRecordError if there is none. */
  load(deadline: number): KeyObject | Promise<KeyObject> {
    return this.opened?.key ?? this.#loading.run(() => this.#openStored(deadline));
  }

  /** The same, but whoever needs it first makes it. */
  loadOrMake(deadline: number, assertOurs: AssertOurs = () => {}): KeyObject | Promise<KeyObject> {
    return this.opened?.key ?? this.#making.run(() => this.#openOrMake(deadline, assertOurs));
  }

  /** Opens this very token, which is stored, and which the caller has judged. */
  async open(token: Uint8Array, deadline: number): Promise<KeyObject> {
    const { state } = this.#deps.domain;
    assertSealedAsNamed(state, this.#name.name, token);
    const key = await this.#keyIn(token, deadline);
    this.#deps.assertSame(key);
    this.#opened = { key, token, judgedBy: state };
    return key;
  }

  /** Whether this token holds the same key: the one that was opened, or what resealing made of it. */
  async isIn(token: Uint8Array, deadline: number): Promise<boolean> {
    const key = await this.load(deadline);
    const own = this.#opened?.token ?? Buffer.of();
    if (Buffer.from(own).equals(token)) return true;
    // What names another domain key was made in another generation.
    return accessKeyIdOf(own) === accessKeyIdOf(token) && key.equals(await this.#keyIn(token, deadline));
  }

  /** Whether this token holds the same key; then it takes the place of the one that was opened. */
  async goesOnWith(token: Uint8Array, deadline: number): Promise<boolean> {
    if (!(await this.isIn(token, deadline))) return false;
    const { opened } = this;
    const { state } = this.#deps.domain;
    assertSealedAsNamed(state, this.#name.name, token);
    if (opened !== undefined) this.#opened = { ...opened, token, judgedBy: state };
    return true;
  }

  /** Undefined until it is opened, and once its token is known to be none that frontends made. */
  get opened(): Opened | undefined {
    const opened = this.#opened;
    const { state } = this.#deps.domain;
    if (opened === undefined || opened.judgedBy === state) return opened;
    const isGood = state === undefined || !isOlderThanNamed(state.domainKeys, this.#name.name, opened.token);
    return (this.#opened = isGood ? { ...opened, judgedBy: state } : undefined);
  }

  async #openStored(deadline: number): Promise<KeyObject> {
    const { name } = this.#name;
    const token = await this.#deps.secrets.findSecret(name);
    if (token === undefined)
      throw new DamagedRecordError(`kf:secret:{${name}} is missing: restore it from a backup (docs/recovery.md)`);
    return this.open(token, deadline);
  }

  async #openOrMake(deadline: number, assertOurs: AssertOurs): Promise<KeyObject> {
    const token = (await this.#deps.secrets.findSecret(this.#name.name)) ?? (await this.#make(deadline, assertOurs));
    assertOurs(token, false);
    return this.open(token, deadline);
  }

  async #keyIn(token: Uint8Array, deadline: number): Promise<KeyObject> {
    const { name, info } = this.#name;
    const sealedFor = this.#sealedFor(namedDomainKey(name, token));
    const { secretAccessKey } = await this.#deps.hsm.execute('OpenCredential', { ...sealedFor, token }, deadline);
    const bytes = Buffer.from(hkdfSync('sha256', secretAccessKey, '', info, 32));
    secretAccessKey.fill(0);
    const key = createSecretKey(bytes);
    bytes.fill(0);
    return key;
  }

  /** The credential names the domain key that seals it, which is unknown until the first one is made. */
  async #make(deadline: number, assertOurs: AssertOurs): Promise<Uint8Array> {
    const { secrets, hsm } = this.#deps;
    for (let domainKeyId: string | undefined; ;) {
      const { token } = await hsm.execute('GenerateCredential', this.#sealedFor(domainKeyId), deadline);
      const sealedUnder = domainKeyIdOf(token);
      if (sealedUnder === domainKeyId) {
        assertOurs(token, true);
        return secrets.insertSecret(this.#name.name, token);
      }
      domainKeyId = sealedUnder;
    }
  }

  #sealedFor(domainKeyId?: string): { readonly accessKeyId: string; readonly principal: string } {
    const suffix = domainKeyId === undefined ? '' : `/${domainKeyId}`;
    return { accessKeyId: `keyfleet-${this.#name.name}${suffix}`, principal: FLEET_PRINCIPAL };
  }
}

/**
 * The generation of the domain key that the fleet's key was made under; 0 if the token does not say or the domain has
 * dropped that domain key. A member that left before that generation cannot have had it made.
 */
export function madeIn({ domainKeys }: DomainState, name: string, token: Uint8Array): number {
  const named = generationOf(domainKeys, namedDomainKey(name, token));
  return isOlderThanNamed(domainKeys, name, token) ? 0 : named;
}

interface Made {
  readonly name: string;
  readonly token: Uint8Array;
  readonly generation: number;
}

/**
 * Whether the fleet's key was made in this generation, as far as anybody can tell once its domain key is dropped; in 0:
 * in the first releases, whose tokens do not say.
 */
export function isMadeIn({ domainKeys }: DomainState, { name, token, generation }: Made): boolean {
  const named = namedDomainKey(name, token);
  if (named === undefined || isOlderThanNamed(domainKeys, name, token)) return named === undefined && generation === 0;
  const isKnown = domainKeys.some(({ createdGeneration }) => createdGeneration === generation);
  return generation > 0 && generationOf(domainKeys, named) === (isKnown ? generation : 0);
}

/**
 * Throws `DamagedRecordError` for a token of another name, which somebody has moved, and for one under an older domain
 * key than the one it names. A member that has not heard of the named one would make such a token for anyone, including
 * somebody who left. It is neither opened nor resealed: under a newer domain key it would look like any other.
 */
export function assertSealedAsNamed(state: DomainState | undefined, name: string, token: Uint8Array): void {
  if (!isFleetSecretOf(name, accessKeyIdOf(token)))
    throw new DamagedRecordError(
      `kf:secret:{${name}} holds what belongs elsewhere: no frontend put it there. Remove it, or restore it from a backup.`,
    );
  if (state === undefined || !isOlderThanNamed(state.domainKeys, name, token)) return;
  throw new DamagedRecordError(
    `kf:secret:{${name}} is sealed under an older domain key than the one that it names: no frontend made it. Restore it from a backup.`,
  );
}

/** Resealing moves a token to newer domain keys, never to older ones. */
function isOlderThanNamed(domainKeys: DomainState['domainKeys'], name: string, token: Uint8Array): boolean {
  return generationOf(domainKeys, domainKeyIdOf(token)) < generationOf(domainKeys, namedDomainKey(name, token));
}

/** 0 for a domain key that the domain does not have. */
function generationOf(domainKeys: DomainState['domainKeys'], id: string | undefined): number {
  return domainKeys.find((key) => key.id === id)?.createdGeneration ?? 0;
}

function namedDomainKey(name: string, token: Uint8Array): string | undefined {
  const accessKeyId = accessKeyIdOf(token);
  return accessKeyId.startsWith(`keyfleet-${name}/`) ? accessKeyId.slice(`keyfleet-${name}/`.length) : undefined;
}
