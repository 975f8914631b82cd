import type { Clock } from '@keyfleet/shared/clock';
import type { Keyring } from '../domain/keyring.ts';
import { openExportedKey } from '../tokens/exported-key-token.ts';
import { BackingKey } from './backing-key.ts';

interface Entry {
  readonly token: Buffer;
  readonly backingKey: BackingKey;
  readonly openedAt: number;
  /** Since it was last its turn to go. */
  used: boolean;
}

/**
 * Opened backing keys, kept in memory for a while: opening a token costs more than using a symmetric key. Bounded; what was not used
 * for longest goes first, about (the clock algorithm: no use moves anything), and none stays longer than `maxAgeMs`, so that a missed
 * eviction does not last.
 */
export class BackingKeyCache {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #maxAgeMs: number;
  /** By the token's tag; the whole token is compared before an entry counts as its. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: { clock: Clock; capacity: number; maxAgeMs: number }) {
    this.#clock = options.clock;
    this.#capacity = options.capacity;
    this.#maxAgeMs = options.maxAgeMs;
  }

  /** The backing key of an exported key token. Refuses with `unknown-domain-key` or `cannot-open`. */
  open(token: Uint8Array, keyring: Keyring): BackingKey {
    const slot = slotOf(token);
    const entry = this.#entries.get(slot);
    if (entry !== undefined && entry.token.equals(token) && this.#clock.now() - entry.openedAt < this.#maxAgeMs) {
      entry.used = true;
      return entry.backingKey;
    }
    const backingKey = openBackingKey(token, keyring);
    this.#entries.delete(slot);
    if (this.#entries.size >= this.#capacity) this.#makeRoom();
    this.#entries.set(slot, { token: Buffer.from(token), backingKey, openedAt: this.#clock.now(), used: false });
    return backingKey;
  }

  /** Forgets what is held of a backing key, under whichever tokens it was opened. */
  evict(materialId: Uint8Array): void {
    for (const [slot, { backingKey }] of this.#entries) {
      if (backingKey.materialId.equals(materialId)) this.#entries.delete(slot);
    }
  }

  /** Forgets everything: the HSM left the domain. */
  clear(): void {
    this.#entries.clear();
  }

  #makeRoom(): void {
    for (const [slot, entry] of this.#entries) {
      this.#entries.delete(slot);
      if (!entry.used) return;
      this.#entries.set(slot, entry);
      entry.used = false;
    }
  }
}

function openBackingKey(token: Uint8Array, keyring: Keyring): BackingKey {
  const { header, secret } = openExportedKey(token, keyring);
  try {
    return new BackingKey(header, secret);
  } finally {
    secret.fill(0);
  }
}

/** The last 16 bytes, which GCM makes as good as a hash of the rest. */
function slotOf(token: Uint8Array): string {
  return Buffer.from(token.buffer, token.byteOffset, token.byteLength).toString(
    'latin1',
    Math.max(0, token.length - 16),
  );
}
