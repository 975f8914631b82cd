import type { KeyObject } from 'node:crypto';

/** A domain key: AES-256, only ever in the memory of a member. */
export interface DomainKey {
  /** 32 hex digits; public, stands in the header of everything sealed under the key. */
  readonly id: string;
  readonly key: KeyObject;
}

/** The secrets of an installed domain state. Immutable: installing another token makes another keyring. */
export interface Keyring {
  readonly domain: string;
  readonly generation: number;
  /** Seals everything new. */
  readonly active: DomainKey;
  /** Active or deactivated; undefined for a key this member does not have (yet). */
  find(id: string): DomainKey | undefined;
  /** HMAC-SHA-256 key that turns key material into its public id. The same for the life of the domain, or ids would change. */
  readonly materialIdKey: KeyObject;
}
