import type { KeyObject } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import { FleetKey, type FleetKeyDeps, type FleetKeyName } from './fleet-key.ts';

const COMMAND_TIMEOUT_MS = 5_000;

export interface RecordKey {
  readonly number: number;
  /** 32 bytes. */
  readonly key: KeyObject;
}

/** The keys that records are authenticated with: all frontends have them, and nobody else. */
export interface RecordKeys {
  /** Which new MACs are made with. Not a promise once it is known. */
  newest(): RecordKey | Promise<RecordKey>;
  /** Undefined when there is none of this number. */
  find(number: number): KeyObject | undefined | Promise<KeyObject | undefined>;
}

export function recordKeyName(number: number): FleetKeyName {
  return { name: `record-key-${number}`, info: 'keyfleet/record-key/1' };
}

/** They are numbered from 1 on, each a secret of the fleet; whoever needs the first one makes it. */
export class FleetRecordKeys implements RecordKeys {
  readonly #deps: FleetKeyDeps & { readonly clock: Clock };
  readonly #opening = new Map<number, FleetKey>();
  readonly #known = new Map<number, KeyObject>();
  #newest: RecordKey | undefined;

  constructor(deps: FleetKeyDeps & { readonly clock: Clock }) {
    this.#deps = deps;
  }

  newest(): RecordKey | Promise<RecordKey> {
    return this.#newest ?? this.#loadNewest();
  }

  find(number: number): KeyObject | undefined | Promise<KeyObject | undefined> {
    return this.#known.get(number) ?? this.#findStored(number);
  }

  async #loadNewest(): Promise<RecordKey> {
    let number = 1;
    while (await this.#isStored(number + 1)) number++;
    await this.#load(number);
    return this.#newest!;
  }

  /** One that is newer than any that was known is used from now on. */
  async #findStored(number: number): Promise<KeyObject | undefined> {
    return (await this.#isStored(number)) ? this.#load(number) : undefined;
  }

  async #isStored(number: number): Promise<boolean> {
    return (await this.#deps.secrets.findSecret(recordKeyName(number).name)) !== undefined;
  }

  async #load(number: number): Promise<KeyObject> {
    const opening = this.#opening.get(number) ?? new FleetKey(recordKeyName(number), this.#deps);
    // Whoever asks meanwhile waits for the same command.
    this.#opening.set(number, opening);
    const key = await opening.load(this.#deps.clock.now() + COMMAND_TIMEOUT_MS);
    this.#known.set(number, key);
    if (this.#newest === undefined || number > this.#newest.number) this.#newest = { number, key };
    return key;
  }
}
