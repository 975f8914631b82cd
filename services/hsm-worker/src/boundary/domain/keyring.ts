import type { KeyObject } from 'node:crypto';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { RefusedError } from '../errors.ts';
import type { DomainKey, DomainSecrets } from './domain-secrets.ts';

/** The secrets of an installed domain state. Immutable: installing another token makes another keyring. */
export interface Keyring {
  readonly domain: string;
  readonly generation: number;
  /** Seals everything new. */
  readonly active: DomainKey;
  /** Before each use of `active` to seal. Refuses with `overloaded` when it has sealed as often as one key may. */
  countSealing(): void;
  /** Active or deactivated; undefined for a key that is retired, or that this member does not have (yet). */
  find(id: string): DomainKey | undefined;
  /** Known, and out of use: whatever is under it stays closed. */
  isRetired(id: string): boolean;
  /**
   * HMAC-SHA-256 key that turns key material into its public id. The same for the life of the domain, or ids would
   * change.
   */
  readonly materialIdKey: KeyObject;
}

/**
 * NIST SP 800-38D, section 8.3, for random IVs. One member comes here only when nothing has rotated for months; then no
 * luck is pressed, and other members, or a rotation, go on.
 */
export const MAX_SEALINGS = 2 ** 32;

/** How often this member sealed under each domain key, by its id, since it started. */
export type Sealings = Map<string, number>;

/** `sealingGeneration`: the newest domain key that is not newer than this seals. */
export function newKeyring(
  { state, secrets }: { state: DomainState; secrets: DomainSecrets },
  sealingGeneration: number,
  sealings: Sealings,
): Keyring {
  const retired = new Set(state.domainKeys.filter(({ status }) => status === 'retired').map(({ id }) => id));
  const byId = new Map(secrets.domainKeys.filter(({ id }) => !retired.has(id)).map((key) => [key.id, key]));
  const { id: activeId } = state.domainKeys.findLast(
    ({ createdGeneration }) => createdGeneration <= sealingGeneration,
  )!;
  return {
    domain: state.domain,
    generation: state.generation,
    active: byId.get(activeId)!,
    countSealing() {
      const count = sealings.get(activeId) ?? 0;
      if (count >= MAX_SEALINGS) throw new RefusedError('overloaded');
      sealings.set(activeId, count + 1);
    },
    find: (domainKeyId) => byId.get(domainKeyId),
    isRetired: (domainKeyId) => retired.has(domainKeyId),
    materialIdKey: secrets.materialIdKey,
  };
}
