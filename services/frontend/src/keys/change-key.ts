import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ConflictError, type KeyStore } from '../store/store.ts';
import { assertKeyState } from './key-states.ts';
import type { KmsKey } from './kms-key.ts';

const MAX_ATTEMPTS = 10;

export interface Change {
  readonly keys: Pick<KeyStore, 'findKey' | 'updateKey'>;
  /** Whose row of the key state table holds. */
  readonly operation: string;
  /** Called again, with the newer record, when somebody else was faster. Throws to refuse. */
  readonly change: (key: KmsKey) => Partial<KmsKey>;
}

/**
 * Writes a change to a key and returns the new record. Two who change a key at once are put in order: the later one decides
 * again on what the earlier one wrote, state included.
 */
export async function changeKey(key: KmsKey, { keys, operation, change }: Change): Promise<KmsKey> {
  let current = key;
  for (let attempt = 1; ; attempt++) {
    try {
      return await keys.updateKey({ ...current, ...change(current) });
    } catch (error) {
      if (!(error instanceof ConflictError) || attempt === MAX_ATTEMPTS) throw error;
    }
    const newer = await keys.findKey(key.region, key.keyId);
    if (!newer) throw new KmsException('NotFoundException', `Key '${key.arn}' does not exist`);
    assertKeyState(operation, newer);
    current = newer;
  }
}
