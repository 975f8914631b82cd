import type { Clock } from '@keyfleet/shared/clock';
import type { HsmCommands } from '../hsm/commands.ts';
import type { BackingKey, KmsKey } from './kms-key.ts';

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
