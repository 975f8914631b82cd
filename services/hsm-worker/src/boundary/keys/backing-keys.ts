import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { Clock } from '@keyfleet/shared/clock';
import { blobPrefixOf } from '@keyfleet/shared/hsm/ciphertext-blob';
import { type KeySpec, keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import type { Keyring } from '../domain/keyring.ts';
import { type BackingKeyHeader, openExportedKey } from '../tokens/exported-key-token.ts';

/** An opened backing key. The secret is in OpenSSL's memory only. */
export class BackingKey {
  readonly keyId: string;
  /** Undefined if its token does not name the account yet. */
  readonly account: string | undefined;
  readonly materialId: Buffer;
  readonly keySpec: KeySpec;
  readonly keyUsage: KeyUsage;
  readonly origin: BackingKeyHeader['origin'];
  /** A secret key for symmetric and HMAC keys; the private key for all others. */
  readonly key: KeyObject;
  #publicKey: KeyObject | undefined;
  #blobPrefix: Buffer | undefined;

  /** `material`: the secret in the token (docs/formats.md); the caller zeroes it. */
  constructor(header: BackingKeyHeader, material: Uint8Array) {
    this.keyId = header.keyId;
    this.account = header.account;
    this.materialId = ownCopy(header.materialId);
    this.keySpec = header.keySpec;
    this.keyUsage = header.keyUsage;
    this.origin = header.origin;
    this.key = isSecretKey(header.keySpec)
      ? createSecretKey(material)
      : createPrivateKey({
          key: Buffer.from(material.buffer, material.byteOffset, material.length),
          format: 'der',
          type: 'pkcs8',
        });
  }

  get publicKey(): KeyObject {
    return (this.#publicKey ??= createPublicKey(this.key));
  }

  /** The start of every ciphertext blob under this key. */
  get blobPrefix(): Buffer {
    return (this.#blobPrefix ??= ownCopy(blobPrefixOf(this)));
  }
}

/** Whether a token may be used for a key of `account`. */
export function belongsTo(account: string, header: { readonly account?: string | undefined }): boolean {
  return header.account === undefined || header.account === account;
}

/** True for key specs whose material is bytes rather than a key pair. */
export function isSecretKey(keySpec: KeySpec): boolean {
  const { kind } = keySpecs[keySpec];
  return kind === 'symmetric' || kind === 'hmac';
}

/** The size of an opened key and its index entries, apart from its token. Measured with symmetric keys. */
const ENTRY_BYTES = 2_000;
/** For a key pair, OpenSSL holds several times the token's size. */
const BYTES_PER_TOKEN_BYTE = 4;

interface Entry {
  readonly token: Buffer;
  readonly backingKey: BackingKey;
  /** As a key of `#slots`. */
  readonly material: string;
  readonly openedAt: number;
}

export interface BackingKeyCacheOptions {
  /** Not the time of day: set back, it would keep keys that are too old. */
  readonly monotonicClock: Clock;
  /** Approximate limit on the memory of the opened keys. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

/**
 * Opened backing keys, cached because opening a token costs more than using a symmetric key. None is used after
 * `maxAgeMs`, and none stays if `dropOld` is called often, so that a missed eviction has a limited effect.
 */
export class BackingKeyCache {
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  /** By the token's tag. An entry counts only if its whole token is the same. */
  readonly #entries: BoundedCache<Entry>;
  /** When each slot was filled, the oldest first. */
  readonly #openedAt = new Map<string, number>();
  /** By backing key: the slots of the tokens from which it was opened, nearly always one. */
  readonly #slots = new Map<string, readonly string[]>();

  constructor({ monotonicClock, maxBytes, maxAgeMs }: BackingKeyCacheOptions) {
    this.#clock = monotonicClock;
    this.#maxAgeMs = maxAgeMs;
    this.#entries = new BoundedCache({
      maxWeight: maxBytes,
      weightOf: ({ token }) => ENTRY_BYTES + BYTES_PER_TOKEN_BYTE * token.length,
      onRemoved: ({ material }, slot) => this.#forgetSlot(material, slot),
    });
  }

  /** The backing key of an exported key token. Refuses with `unknown-domain-key` or `cannot-open`. */
  open(token: Uint8Array, keyring: Keyring): BackingKey {
    const slot = slotOf(token);
    const entry = this.#entries.get(slot);
    if (entry !== undefined && entry.token.equals(token) && this.#clock.now() - entry.openedAt < this.#maxAgeMs) {
      return entry.backingKey;
    }
    const backingKey = openBackingKey(token, keyring);
    this.#keep(slot, token, backingKey);
    return backingKey;
  }

  /** Forgets a backing key, under every token it was opened from. */
  evict(materialId: Uint8Array): void {
    for (const slot of this.#slots.get(materialOf(materialId)) ?? []) this.#entries.delete(slot);
  }

  /** Forgets what is too old, whether or not anybody asks for it again. */
  dropOld(): void {
    const oldest = this.#clock.now() - this.#maxAgeMs;
    for (const [slot, openedAt] of this.#openedAt) {
      if (openedAt > oldest) return;
      this.#entries.delete(slot);
    }
  }

  /** Forgets everything: the HSM left the domain. */
  clear(): void {
    this.#entries.clear();
    this.#openedAt.clear();
    this.#slots.clear();
  }

  #keep(slot: string, token: Uint8Array, backingKey: BackingKey): void {
    const material = materialOf(backingKey.materialId);
    const entry = { token: ownCopy(token), backingKey, material, openedAt: this.#clock.now() };
    if (!this.#entries.set(slot, entry)) return;
    this.#openedAt.set(slot, entry.openedAt);
    this.#slots.set(material, [...(this.#slots.get(material) ?? []), slot]);
  }

  #forgetSlot(material: string, slot: string): void {
    this.#openedAt.delete(slot);
    const others = this.#slots.get(material)?.filter((other) => other !== slot) ?? [];
    if (others.length > 0) this.#slots.set(material, others);
    else this.#slots.delete(material);
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

/** In memory of its own: a small Buffer from the pool of Node keeps the whole block that it is a part of. */
function ownCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

function materialOf(materialId: Uint8Array): string {
  return Buffer.from(materialId.buffer, materialId.byteOffset, materialId.byteLength).toString('latin1');
}

/** The last 16 bytes: GCM makes them as good as a hash of the rest. */
function slotOf(token: Uint8Array): string {
  return Buffer.from(token.buffer, token.byteOffset, token.byteLength).toString(
    'latin1',
    Math.max(0, token.length - 16),
  );
}
