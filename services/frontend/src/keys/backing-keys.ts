import type { Clock } from '@keyfleet/shared/clock';
import type { HsmCommands } from '../hsm/commands.ts';
import type { BackingKey, HeldKey, KmsKey } from './kms-key.ts';

/** The material used for everything made now. The key's state guarantees that there is one. */
export function currentBackingKey(key: KmsKey): HeldKey {
  const current = currentMaterialOf(key);
  if (!current || !isHeld(current)) throw new Error(`the record of ${key.arn} is ${key.state} and has no key material`);
  return current;
}

/** The current material, whether or not it is here; undefined for a key that never had any. */
export function currentMaterialOf({ backingKeys }: Pick<KmsKey, 'backingKeys'>): BackingKey | undefined {
  return backingKeys.findLast(({ pending }) => !pending);
}

export function isHeld(backingKey: BackingKey): backingKey is HeldKey {
  return backingKey.token !== undefined;
}

/**
 * Tells a command which KMS key it is for and which of its materials. The HSM refuses a token of another key or
 * account.
 */
export function commandKeyOf(
  key: KmsKey,
  { token }: HeldKey = currentBackingKey(key),
): { keyId: string; account: string; token: Uint8Array } {
  return { keyId: key.keyId, account: key.accountId, token };
}

/** The material with this id, or undefined if it is not here or has expired, as a pending one may. */
export function findBackingKey(key: KmsKey, materialId: string, now: number): HeldKey | undefined {
  const found = key.backingKeys.find((backingKey) => backingKey.materialId === materialId);
  return found && isHereAt(found, now) ? found : undefined;
}

/** For imported material: whether it is here and has not expired. */
export function isHereAt(backingKey: BackingKey, now: number): backingKey is HeldKey {
  return isHeld(backingKey) && (backingKey.validTo === undefined || backingKey.validTo > now);
}

/** Whether the key waits for imported material: everything that it ever encrypted with must be here. */
export function lacksMaterial({ origin, backingKeys }: Pick<KmsKey, 'origin' | 'backingKeys'>, now: number): boolean {
  if (origin !== 'EXTERNAL') return false;
  const own = backingKeys.filter(({ pending }) => !pending);
  return own.length === 0 || own.some((material) => !isHereAt(material, now));
}

/** A busy worker answers in this time; one that does not answer must not make the caller repeat what is done. */
const EVICTION_MS = 1_000;

/** Tells every worker to forget the key's opened material. A worker that does not answer forgets it by age. */
export async function evictBackingKeys(
  { backingKeys }: Pick<KmsKey, 'backingKeys'>,
  { hsm, clock, deadline }: { hsm: Pick<HsmCommands, 'executeEverywhere'>; clock: Clock; deadline: number },
): Promise<void> {
  const until = Math.min(deadline, clock.now() + EVICTION_MS);
  const evictions = backingKeys
    .filter(isHeld)
    .map(({ materialId }) =>
      hsm.executeEverywhere('EvictBackingKey', { materialId: Buffer.from(materialId, 'hex') }, until),
    );
  await Promise.all(evictions);
}

export interface MaterialSource {
  readonly hsm: Pick<HsmCommands, 'execute'>;
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
}

/** Has an HSM make material that the key has not. It is not in use until it is stored in the key's record. */
export async function newBackingKey(
  {
    keyId,
    accountId,
    keySpec,
    keyUsage,
    backingKeys,
  }: Pick<KmsKey, 'keyId' | 'accountId' | 'keySpec' | 'keyUsage' | 'backingKeys'>,
  { hsm, clock, deadline }: MaterialSource,
): Promise<HeldKey> {
  const wanted = { keyId, account: accountId, keySpec, keyUsage };
  const known = backingKeys.map(({ materialId }) => materialId);
  const made = await hsm.execute('GenerateBackingKey', wanted, deadline, known);
  const { token, materialId, publicKey } = made;
  return {
    materialId: Buffer.from(materialId).toString('hex'),
    token,
    ...(publicKey && { publicKey }),
    createdAt: clock.now(),
  };
}
