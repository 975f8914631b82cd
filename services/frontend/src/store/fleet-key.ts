import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import type { HsmCommands } from '../hsm/commands.ts';
import type { FleetSecretStore } from './store.ts';

/** A key that all frontends have, and nothing else: sealed as a credential that nobody signs with (docs/decisions/0004). */
export interface FleetKeyName {
  /** Where its token is stored. Its credential is that of the access key id `keyfleet-<name>`. */
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
    const sealedFor = { accessKeyId: `keyfleet-${name}`, principal: 'keyfleet:frontends' };
    let token = await secrets.findSecret(name);
    if (token === undefined) {
      const made = await hsm.execute('GenerateCredential', sealedFor, deadline);
      token = await secrets.insertSecret(name, made.token);
    }
    const { secretAccessKey } = await hsm.execute('OpenCredential', { ...sealedFor, token }, deadline);
    const key = Buffer.from(hkdfSync('sha256', secretAccessKey, '', info, 32));
    secretAccessKey.fill(0);
    this.#key = createSecretKey(key);
    key.fill(0);
    return this.#key;
  }
}
