import type { KeyObject } from 'node:crypto';
import type { DomainState } from '@keyfleet/shared/domain/state';
import type { DomainSecrets } from './domain-secrets.ts';

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
  /** Active or deactivated; undefined for a key that is retired, or that this member does not have (yet). */
  find(id: string): DomainKey | undefined;
  /** Known, and out of use: whatever is under it stays closed. */
  isRetired(id: string): boolean;
  /** HMAC-SHA-256 key that turns key material into its public id. The same for the life of the domain, or ids would change. */
  readonly materialIdKey: KeyObject;
}

/** `sealingGeneration`: the newest domain key that is not newer than this seals. */
export function newKeyring(state: DomainState, secrets: DomainSecrets, sealingGeneration: number): Keyring {
  const retired = new Set(state.domainKeys.filter(({ status }) => status === 'retired').map(({ id }) => id));
  const byId = new Map(secrets.domainKeys.filter(({ id }) => !retired.has(id)).map((key) => [key.id, key]));
  const { id: activeId } = state.domainKeys.findLast(
    ({ createdGeneration }) => createdGeneration <= sealingGeneration,
  )!;
  return {
    domain: state.domain,
    generation: state.generation,
    active: byId.get(activeId)!,
    find: (domainKeyId) => byId.get(domainKeyId),
    isRetired: (domainKeyId) => retired.has(domainKeyId),
    materialIdKey: secrets.materialIdKey,
  };
}
