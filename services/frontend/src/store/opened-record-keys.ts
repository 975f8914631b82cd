import { type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { type HsmCommands, HsmRefusedError } from '../hsm/commands.ts';
import { type AssertOurs, FleetKey, type FleetKeyDeps, type Opened } from './fleet-key.ts';
import { fingerprintOf, recordKeyName } from './record-key.ts';
import type { FollowedKeys, RecordKeyFloor } from './record-key-floor.ts';
import { doesNotOpen, isReplaced } from './record-key-problems.ts';

const COMMAND_TIMEOUT_MS = 5_000;

export interface OpenedRecordKeysDeps extends Omit<FleetKeyDeps, 'assertSame'> {
  readonly hsm: HsmCommands;
  readonly clock: Clock;
  readonly floor: RecordKeyFloor;
}

/** The record keys of one store that are open here, none of them another than an earlier run wrote down. */
export class OpenedRecordKeys {
  readonly #deps: OpenedRecordKeysDeps;
  readonly #keys = new Map<number, FleetKey>();

  constructor(deps: OpenedRecordKeysDeps) {
    this.#deps = deps;
  }

  load(number: number): KeyObject | Promise<KeyObject> {
    const key = this.#keyOf(number).load(this.#deadline());
    return key instanceof Promise ? this.#asking(number, () => key) : key;
  }

  /** If there is none; its token, or the one that was there. */
  async make(number: number, assertOurs?: AssertOurs): Promise<Uint8Array> {
    const key = this.#keyOf(number);
    await key.loadOrMake(this.#deadline(), assertOurs);
    return key.opened!.token;
  }

  isOpen(number: number): boolean {
    return this.#keyOf(number).opened !== undefined;
  }

  get all(): readonly (readonly [number, Opened])[] {
    return [...this.#keys].flatMap(([number, { opened }]) => (opened === undefined ? [] : [[number, opened] as const]));
  }

  /** Whether the token holds this record key. Throws DamagedRecordError if no HSM can tell. */
  async isIn(number: number, token: Uint8Array): Promise<boolean> {
    return this.#asking(number, async () => this.#keyOf(number).isIn(token, this.#deadline()));
  }

  /** The same; then it takes the place of the one that was opened. */
  goesOnWith(number: number, token: Uint8Array): Promise<boolean> {
    return this.#asking(number, async () => this.#keyOf(number).goesOnWith(token, this.#deadline()));
  }

  /** Opens this token, if it is ours by its header. */
  open(number: number, token: Uint8Array, isOurs = () => true): Promise<boolean> {
    return this.#asking(number, async () => {
      if (!isOurs()) return false;
      await this.#keyOf(number).open(token, this.#deadline());
      return true;
    });
  }

  /** The same, in the place of another record key of this number. */
  replace(number: number, token: Uint8Array, isOurs: () => boolean): Promise<boolean> {
    return this.#asking(number, async () => {
      if (!isOurs()) return false;
      const key = new FleetKey(recordKeyName(number), { ...this.#deps, assertSame: () => {} });
      await key.open(token, this.#deadline());
      this.#keys.set(number, key);
      return true;
    });
  }

  forgetBefore(oldest: number): void {
    for (const number of this.#keys.keys()) if (number < oldest) this.#keys.delete(number);
  }

  forgetAfter(newest: number): void {
    for (const number of this.#keys.keys()) if (number > newest) this.#keys.delete(number);
  }

  /** As an earlier run wrote them down. */
  get written(): FollowedKeys['fingerprints'] {
    return this.#deps.floor.lowest?.fingerprints ?? {};
  }

  /** Anything at all may stand there. */
  async #asking<T>(number: number, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (cause) {
      const isRefusal = cause instanceof HsmRefusedError || cause instanceof FormatError;
      throw isRefusal ? doesNotOpen(number, cause) : cause;
    }
  }

  #keyOf(number: number): FleetKey {
    const assertSame = (key: KeyObject): void => this.#assertSame(number, key);
    const found = this.#keys.get(number) ?? new FleetKey(recordKeyName(number), { ...this.#deps, assertSame });
    this.#keys.set(number, found);
    return found;
  }

  /** Also of an older key, and however long ago its domain key was dropped. */
  #assertSame(number: number, key: KeyObject): void {
    const known = this.written[number];
    if (known === undefined || timingSafeEqual(Buffer.from(known), Buffer.from(fingerprintOf(key)))) return;
    throw isReplaced(number);
  }

  #deadline(): number {
    return this.#deps.clock.now() + COMMAND_TIMEOUT_MS;
  }
}
