import { type Clock, monotonicClock as processClock } from '@keyfleet/shared/clock';
import { activeDomainKey, type DomainState, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import { ROTATION_PAUSE_MS } from '@keyfleet/shared/domain/valid-state';
import type { DomainSecrets } from './domain-secrets.ts';
import { type Keyring, newKeyring, type Sealings } from './keyring.ts';
import { sessionFloor, takesSessionsUnder } from './session-keys.ts';

/** A member that is not told to activate a new domain key starts to use it after this time. */
export const ACTIVATION_DELAY_MS = 60_000;

export interface InstalledDomainOptions {
  readonly clock: Clock;
  /** For what is to last as long as it should though `clock` is wrong, or was set. */
  readonly monotonicClock?: Clock;
  /** See `assertWithinLimits`; default `ROTATION_PAUSE_MS`. */
  readonly rotationPauseMs?: number;
}

/**
 * A domain state and its keys, as installed by one member. A member holds a new domain key at once, but seals under it
 * only once every reachable member holds it, or after `ACTIVATION_DELAY_MS`. Which of the two keys seals does not
 * matter for safety, since both are in the state, unless a member that knows the older one was removed: then the new
 * key seals at once.
 */
export class InstalledDomain {
  readonly state: DomainState;
  /** The hash of the token that made `state`. */
  readonly tokenHash: Uint8Array;
  readonly secrets: DomainSecrets;
  /** Monotonic, as all times here. */
  readonly #clock: Clock;
  /** When this member learned of the active domain key, or, if it did not run then, when the state says it was made. */
  readonly #activeSince: number;
  readonly #rotationPauseMs: number;
  readonly #sessionFloor: number;
  /** By domain key id: when this member learned that the key is no longer the active one. */
  readonly #deactivatedAt: ReadonlyMap<string, number>;
  readonly #sealings: Sealings;
  #keyring: Keyring;
  #sealingGeneration: number;
  /** When the newest domain key begins to seal; Infinity if it already does. */
  #activatesAt: number;

  /**
   * Without `before`, as after a restart, the newest key seals at once: it may already have sealed before the restart.
   */
  constructor(
    parts: VerifiedDomain & { readonly secrets: DomainSecrets },
    { clock, monotonicClock = processClock, rotationPauseMs = ROTATION_PAUSE_MS }: InstalledDomainOptions,
    before?: InstalledDomain,
  ) {
    this.state = parts.state;
    this.tokenHash = parts.hash;
    this.secrets = parts.secrets;
    const now = monotonicClock.now();
    this.#clock = monotonicClock;
    const isKnown = before !== undefined && activeDomainKey(before.state).id === activeDomainKey(this.state).id;
    const age = before === undefined ? ageOfActiveKey(this.state, clock) : 0;
    this.#activeSince = isKnown ? before.#activeSince : now - age;
    this.#rotationPauseMs = rotationPauseMs;
    this.#sessionFloor = sessionFloor(this.state, before && before.#sessionFloor);
    const known = before === undefined ? new Map<string, number>() : before.#deactivatedAt;
    const old = this.state.domainKeys.slice(0, -1);
    this.#deactivatedAt = new Map(old.map(({ id }) => [id, known.get(id) ?? now]));
    this.#sealings = before === undefined ? new Map() : before.#sealings;
    const newest = activeDomainKey(this.state).createdGeneration;
    const previous = before?.sealingGeneration ?? newest;
    this.#sealingGeneration = maySeal(this.state, previous) ? previous : newest;
    const pending = this.#sealingGeneration < newest;
    // The earlier of two deadlines counts, or rotations in quick succession would postpone activation forever.
    this.#activatesAt = pending ? Math.min(before!.#activatesAt, now + ACTIVATION_DELAY_MS) : Infinity;
    this.#keyring = newKeyring(this, this.#sealingGeneration, this.#sealings);
  }

  /** How long it makes no further domain key by rotation: see `assertWithinLimits`. Negative after that time. */
  get rotatesInMs(): number {
    return this.#activeSince + this.#rotationPauseMs - this.#clock.now();
  }

  get keyring(): Keyring {
    this.#activateWhenDue();
    return this.#keyring;
  }

  /** The generation that made the domain key now sealing. */
  get sealingGeneration(): number {
    this.#activateWhenDue();
    return this.#sealingGeneration;
  }

  /** Whether a session token under this domain key is still accepted. */
  takesSessionsUnder(domainKeyId: string): boolean {
    const deactivatedAt = this.#deactivatedAt.get(domainKeyId);
    const now = this.#clock.now();
    return takesSessionsUnder(domainKeyId, this.state, { floor: this.#sessionFloor, deactivatedAt, now });
  }

  /** From now on seals under the newest domain key made no later than `generation`; never goes back to an older one. */
  activate(generation: number): void {
    const key = this.state.domainKeys.findLast(
      ({ createdGeneration, status }) => createdGeneration <= generation && status !== 'retired',
    );
    if (key === undefined || key.createdGeneration <= this.#sealingGeneration) return;
    this.#sealingGeneration = key.createdGeneration;
    if (key.status === 'active') this.#activatesAt = Infinity;
    this.#keyring = newKeyring(this, key.createdGeneration, this.#sealings);
  }

  #activateWhenDue(): void {
    if (this.#activatesAt !== Infinity && this.#clock.now() >= this.#activatesAt) this.activate(this.state.generation);
  }
}

function ageOfActiveKey(state: DomainState, clock: Clock): number {
  return Math.max(clock.now() - activeDomainKey(state).createdAt, 0);
}

/** Whether the domain key made by `generation` still exists, and no former member knows it. */
function maySeal({ domainKeys }: DomainState, generation: number): boolean {
  const key = domainKeys.find(({ createdGeneration }) => createdGeneration === generation);
  const leftSince = domainKeys.some((one) => one.afterRemoval && one.createdGeneration > generation);
  return key !== undefined && key.status !== 'retired' && !leftSince;
}

/** Whether a key that opened things no longer does. */
export function losesKeys(before: InstalledDomain | undefined, after: InstalledDomain): boolean {
  return before?.state.domainKeys.some(({ id }) => before.keyring.find(id) && !after.keyring.find(id)) ?? false;
}
