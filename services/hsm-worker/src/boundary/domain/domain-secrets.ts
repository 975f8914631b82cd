import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { domainKeyId, type DomainState } from '@keyfleet/shared/domain/state';
import type { Random } from '../crypto/random.ts';

/** A domain key: AES-256, held only in the memory of members. */
export interface DomainKey {
  /** 32 hex digits. Public: the header of everything sealed under the key contains it. */
  readonly id: string;
  readonly key: KeyObject;
}

/** The secret side of a domain state. */
export interface DomainSecrets {
  /** In the same order as the state's domain keys. */
  readonly domainKeys: readonly DomainKey[];
  readonly materialIdKey: KeyObject;
}

const secretKey = bytes({ min: 32, max: 32 });

/** Occurs only inside a token, sealed under its DKEK. */
const SecretsFormat = defineFormat(
  'keyfleet/domain-secrets/1',
  z.object({
    materialIdKey: secretKey,
    domainKeys: z.array(z.object({ id: domainKeyId, key: secretKey })),
  }),
);

/** The caller wipes the result. */
export function encodeSecrets({ domainKeys, materialIdKey }: DomainSecrets): Buffer {
  const keys = domainKeys.map(({ id, key }) => ({ id, key: key.export() }));
  const materialId = materialIdKey.export();
  try {
    return SecretsFormat.encode({ materialIdKey: materialId, domainKeys: keys });
  } finally {
    materialId.fill(0);
    for (const { key } of keys) key.fill(0);
  }
}

/** The caller wipes `encoded`. Throws `FormatError`. */
export function decodeSecrets(encoded: Uint8Array): DomainSecrets {
  const { domainKeys, materialIdKey } = SecretsFormat.decode(encoded);
  return {
    domainKeys: domainKeys.map(({ id, key }) => ({ id, key: createSecretKey(key) })),
    materialIdKey: createSecretKey(materialIdKey),
  };
}

export function newSecretKey(random: Random): KeyObject {
  const key = random(32);
  try {
    return createSecretKey(key);
  } finally {
    key.fill(0);
  }
}

/** Where a domain key is made: the token of this generation makes at most one. */
interface Birth {
  readonly domain: string;
  readonly generation: number;
}

const Named = defineFormat('keyfleet/domain-key-id/1', z.strictObject({ domain: z.string(), generation: z.int() }));

export function newDomainKey(random: Random, birth: Birth): DomainKey {
  const key = newSecretKey(random);
  return { id: domainKeyIdOf(key, birth), key };
}

/**
 * Nobody knows it before the key is made, and nobody can choose it: records name domain keys, and whoever makes one
 * could give it the id of one that was dropped.
 */
export function domainKeyIdOf(key: KeyObject, birth: Birth): string {
  return createHmac('sha256', key).update(Named.encode(birth)).digest().subarray(0, 16).toString('hex');
}

/**
 * What a member asks of the keys in a token: that those which it has already are the same, and that the maker did not
 * choose the id of a new one. Before version 3 makers drew it. `held`: undefined for who founds the domain. Throws
 * `DomainError`.
 */
export function assertSoundKeys(
  { version, domain, generation, domainKeys }: DomainState,
  received: DomainSecrets,
  held: DomainSecrets | undefined,
): void {
  if (held !== undefined) assertSameKeys(held, received);
  const at = domainKeys.findIndex(({ createdGeneration }) => createdGeneration === generation);
  const made = received.domainKeys[at];
  if (version < 3 || made === undefined || held?.domainKeys.some(({ id }) => id === made.id) === true) return;
  if (made.id !== domainKeyIdOf(made.key, { domain, generation })) {
    throw new DomainError('forged', 'a domain key has an id that does not follow from it');
  }
}

/** A token may add and drop domain keys, but those that the member already has must not change. */
function assertSameKeys(held: DomainSecrets, received: DomainSecrets): void {
  const changed = received.domainKeys.some(({ id, key }) => {
    const same = held.domainKeys.find((other) => other.id === id);
    return same !== undefined && !same.key.equals(key);
  });
  if (changed || !held.materialIdKey.equals(received.materialIdKey)) {
    throw new DomainError('forged', 'the token changes a key that the domain already has');
  }
}
