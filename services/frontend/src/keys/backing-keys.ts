import type { Clock } from '@keyfleet/shared/clock';
import type { HsmCommands } from '../hsm/commands.ts';
import type { BackingKey, KmsKey } from './kms-key.ts';

/** The material that is used for what is made now. The key's state says that there is one. */
export function currentBackingKey(key: KmsKey): BackingKey {
  const current = key.backingKeys.findLast(({ pending }) => !pending);
  if (!current) throw new Error(`the record of ${key.arn} is ${key.state} and has no key material`);
  return current;
}

/**
 * What a command says of the KMS key that it is for, and which of its materials. The HSM refuses a token of another key
 * or account.
 */
export function commandKeyOf(
  key: KmsKey,
  { token }: BackingKey = currentBackingKey(key),
): { keyId: string; account: string; token: Uint8Array } {
  return { keyId: key.keyId, account: key.accountId, token };
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

export interface MaterialSource {
  readonly hsm: Pick<HsmCommands, 'execute'>;
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
}

/** Lets an HSM make material for a key. Nobody has it until it is stored in the key's record. */
export async function newBackingKey(
  { keyId, accountId, keySpec, keyUsage }: Pick<KmsKey, 'keyId' | 'accountId' | 'keySpec' | 'keyUsage'>,
  { hsm, clock, deadline }: MaterialSource,
): Promise<BackingKey> {
  const wanted = { keyId, account: accountId, keySpec, keyUsage };
  const made = await hsm.execute('GenerateBackingKey', wanted, deadline);
  const { token, materialId, publicKey } = made;
  return {
    materialId: Buffer.from(materialId).toString('hex'),
    token,
    ...(publicKey && { publicKey }),
    createdAt: clock.now(),
  };
}
