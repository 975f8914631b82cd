import type { Clock } from '@keyfleet/shared/clock';
import type { Keyring } from '../domain/keyring.ts';
import { openExportedKey } from '../tokens/exported-key-token.ts';
import { BackingKey } from './backing-key.ts';

/** An opened key with what leads to it, beside its token: measured with symmetric keys. */
const ENTRY_BYTES = 2_000;
/** Of a key pair, OpenSSL holds several times what its token has. */
const BYTES_PER_TOKEN_BYTE = 4;

interface Entry {
  readonly token: Buffer;
  readonly backingKey: BackingKey;
  /** As key of `#slots`. */
  readonly material: string;
  readonly openedAt: number;
  /** Since it was last its turn to go. */
  used: boolean;
}

/**
 * Opened backing keys, kept in memory for a while: opening a token costs more than using a symmetric key. Bounded; what
 * was not used for longest goes first, about (the clock algorithm: no use moves anything), and none stays longer than
 * `maxAgeMs`, so that a missed eviction does not last.
 */
export class BackingKeyCache {
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #maxAgeMs: number;
  /** By the token's tag; the whole token is compared before an entry counts as its. */
  readonly #entries = new Map<string, Entry>();
  /** By backing key: the slots of the tokens that it was opened from, nearly always one. */
  readonly #slots = new Map<string, readonly string[]>();
  #bytes = 0;

  /** `maxBytes`: about how much memory the opened keys may take. */
  constructor(options: { clock: Clock; maxBytes: number; maxAgeMs: number }) {
    this.#clock = options.clock;
    this.#maxBytes = options.maxBytes;
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
    this.#forget(slot);
    this.#makeRoomFor(bytesOf(token));
    this.#keep(slot, token, backingKey);
    return backingKey;
  }

  /** Forgets what is held of a backing key, under whichever tokens it was opened. */
  evict(materialId: Uint8Array): void {
    for (const slot of this.#slots.get(materialOf(materialId)) ?? []) this.#forget(slot);
  }

  /** Forgets everything: the HSM left the domain. */
  clear(): void {
    this.#entries.clear();
    this.#slots.clear();
    this.#bytes = 0;
  }

  #keep(slot: string, token: Uint8Array, backingKey: BackingKey): void {
    const material = materialOf(backingKey.materialId);
    const openedAt = this.#clock.now();
    this.#entries.set(slot, { token: Buffer.from(token), backingKey, material, openedAt, used: false });
    this.#slots.set(material, [...(this.#slots.get(material) ?? []), slot]);
    this.#bytes += bytesOf(token);
  }

  #forget(slot: string): void {
    const entry = this.#entries.get(slot);
    if (entry === undefined) return;
    this.#entries.delete(slot);
    this.#bytes -= bytesOf(entry.token);
    const others = this.#slots.get(entry.material)?.filter((other) => other !== slot) ?? [];
    if (others.length > 0) this.#slots.set(entry.material, others);
    else this.#slots.delete(entry.material);
  }

  #makeRoomFor(bytes: number): void {
    for (const [slot, entry] of this.#entries) {
      if (this.#bytes + bytes <= this.#maxBytes) return;
      if (entry.used) {
        this.#entries.delete(slot);
        this.#entries.set(slot, entry);
        entry.used = false;
      } else {
        this.#forget(slot);
      }
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

function bytesOf(token: Uint8Array): number {
  return ENTRY_BYTES + BYTES_PER_TOKEN_BYTE * token.length;
}

function materialOf(materialId: Uint8Array): string {
  return Buffer.from(materialId.buffer, materialId.byteOffset, materialId.byteLength).toString('latin1');
}

/** The last 16 bytes, which GCM makes as good as a hash of the rest. */
function slotOf(token: Uint8Array): string {
  return Buffer.from(token.buffer, token.byteOffset, token.byteLength).toString(
    'latin1',
    Math.max(0, token.length - 16),
  );
}
