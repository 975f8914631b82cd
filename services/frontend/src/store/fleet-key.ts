import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { accessKeyIdOf, domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import type { HsmCommands } from '../hsm/commands.ts';
import type { FleetSecretStore } from './store.ts';

/**
 * A key that all frontends have, and nothing else: sealed as a credential that nobody signs with (docs/decisions/0004).
 */
export interface FleetKeyName {
  /**
   * Where its token is stored. Its credential is that of the access key id `keyfleet-<name>/<domain key id>`, of the
   * domain key that it was first sealed under; `keyfleet-<name>` in the first releases.
   */
  readonly name: string;
  /** Of HKDF: tells what the key is for. */
  readonly info: string;
}

export interface FleetKeyDeps {
  readonly secrets: FleetSecretStore;
  readonly hsm: HsmCommands;
}

/** Opened by a worker once in a frontend's life; made by whichever frontend needs it first. */
export class FleetKey {
  readonly #name: FleetKeyName;
  readonly #deps: FleetKeyDeps;
  readonly #loading = new SingleFlight<KeyObject>();
  #key: KeyObject | undefined;

  constructor(name: FleetKeyName, deps: FleetKeyDeps) {
    this.#name = name;
    this.#deps = deps;
  }

  /** Not a promise once it was loaded. 32 bytes. */
  load(deadline: number): KeyObject | Promise<KeyObject> {
    return this.#key ?? this.#loading.run(() => this.#open(deadline));
  }

  async #open(deadline: number): Promise<KeyObject> {
    const { secrets, hsm } = this.#deps;
    const { name, info } = this.#name;
    const token = (await secrets.findSecret(name)) ?? (await this.#make(deadline));
    const domainKeyId = namedDomainKey(name, token);
    const sealedFor = domainKeyId === undefined ? this.#sealedFor() : this.#sealedFor(domainKeyId);
    const { secretAccessKey } = await hsm.execute('OpenCredential', { ...sealedFor, token }, deadline);
    const key = Buffer.from(hkdfSync('sha256', secretAccessKey, '', info, 32));
    secretAccessKey.fill(0);
    this.#key = createSecretKey(key);
    key.fill(0);
    return this.#key;
  }

  /** Its credential names the domain key that seals it, which nobody knew before there was one. */
  async #make(deadline: number): Promise<Uint8Array> {
    const { secrets, hsm } = this.#deps;
    for (let domainKeyId: string | undefined; ;) {
      const { token } = await hsm.execute('GenerateCredential', this.#sealedFor(domainKeyId), deadline);
      const sealedUnder = domainKeyIdOf(token);
      if (sealedUnder === domainKeyId) return secrets.insertSecret(this.#name.name, token);
      domainKeyId = sealedUnder;
    }
  }

  #sealedFor(domainKeyId?: string): { readonly accessKeyId: string; readonly principal: string } {
    const suffix = domainKeyId === undefined ? '' : `/${domainKeyId}`;
    return { accessKeyId: `keyfleet-${this.#name.name}${suffix}`, principal: 'keyfleet:frontends' };
  }
}

/**
 * The generation of the domain key that the fleet's key was made under; 0 when it does not say, or the domain has
 * dropped that one. Who left before that generation cannot have had it made.
 */
export function madeIn({ domainKeys }: DomainState, name: string, token: Uint8Array): number {
  const generationOf = (id: string | undefined) => domainKeys.find((key) => key.id === id)?.createdGeneration ?? 0;
  const named = generationOf(namedDomainKey(name, token));
  // Resealing brings it under newer ones; a member that had not heard of the named one made it under an older one.
  return generationOf(domainKeyIdOf(token)) < named ? 0 : named;
}

function namedDomainKey(name: string, token: Uint8Array): string | undefined {
  const accessKeyId = accessKeyIdOf(token);
  return accessKeyId.startsWith(`keyfleet-${name}/`) ? accessKeyId.slice(`keyfleet-${name}/`.length) : undefined;
}
