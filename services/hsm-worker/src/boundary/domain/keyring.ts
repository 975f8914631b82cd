import type { KeyObject } from 'node:crypto';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { RefusedError } from '../errors.ts';
import type { DomainKey, DomainSecrets } from './domain-secrets.ts';

/** The secrets of an installed domain state. Immutable: installing another token creates another keyring. */
export interface Keyring {
  readonly domain: string;
  readonly generation: number;
  /** The key that seals everything new. */
  readonly active: DomainKey;
  /**
   * Call before each use of `active` to seal. Refuses with `overloaded` once the key has sealed as often as one key
   * may.
   */
  countSealing(): void;
  /** An active or deactivated key; undefined if the key is retired or this member does not have it yet. */
  find(id: string): DomainKey | undefined;
  /** The generation that made this domain key; undefined for one that this member does not know (yet or any more). */
  madeIn(id: string): number | undefined;
  /** Known but out of use: what it sealed stays closed. */
  isRetired(id: string): boolean;
  /**
   * The HMAC-SHA-256 key that derives the public id of key material. Constant for the life of the domain, or ids would
   * change.
   */
  readonly materialIdKey: KeyObject;
}

/**
 * NIST SP 800-38D, section 8.3, for random IVs. One member gets here only if nothing has rotated for months. Then it
 * stops, rather than risk a repeat; other members, or a rotation, carry on.
 */
export const MAX_SEALINGS = 2 ** 32;

/** How often this member has sealed under each domain key since it started, by domain key id. */
export type Sealings = Map<string, number>;

/** `sealingGeneration`: the newest domain key that is not newer than this generation seals. */
export function newKeyring(
  { state, secrets }: { state: DomainState; secrets: DomainSecrets },
  sealingGeneration: number,
  sealings: Sealings,
): Keyring {
  const retired = new Set(state.domainKeys.filter(({ status }) => status === 'retired').map(({ id }) => id));
  const madeIn = new Map(state.domainKeys.map((key) => [key.id, key.createdGeneration]));
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
    madeIn: (domainKeyId) => madeIn.get(domainKeyId),
    isRetired: (domainKeyId) => retired.has(domainKeyId),
    materialIdKey: secrets.materialIdKey,
  };
}
