import type { HsmCommands } from '../hsm/commands.ts';
import type { BackingKey, KmsKey } from './kms-key.ts';

/** The material that is used for what is made now. The key's state says that there is one. */
export function currentBackingKey(key: KmsKey): BackingKey {
  const current = key.backingKeys.at(-1);
  if (!current) throw new Error(`the record of ${key.arn} is ${key.state} and has no key material`);
  return current;
}

/** The material of this id, or undefined if the key never had it. */
export function findBackingKey(key: KmsKey, materialId: string): BackingKey | undefined {
  return key.backingKeys.find((backingKey) => backingKey.materialId === materialId);
}

/** Has every worker forget the key's opened material. One out of reach forgets by age. */
export async function evictBackingKeys(
  { backingKeys }: Pick<KmsKey, 'backingKeys'>,
  { hsm, deadline }: { hsm: Pick<HsmCommands, 'executeEverywhere'>; deadline: number },
): Promise<void> {
  const evictions = backingKeys.map(({ materialId }) =>
    hsm.executeEverywhere('EvictBackingKey', { materialId: Buffer.from(materialId, 'hex') }, deadline),
  );
  await Promise.all(evictions);
}
