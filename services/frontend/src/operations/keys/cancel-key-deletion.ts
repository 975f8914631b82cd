import type { CancelKeyDeletion } from '@keyfleet/shared/api/keys';
import type { KmsKey } from '../../keys/kms-key.ts';
import type { Deps, Handler } from '../handler.ts';

export const cancelKeyDeletion: Handler<typeof CancelKeyDeletion, Pick<Deps, 'keys'>> = async (
  _input,
  { key },
  { keys },
) => {
  await keys.updateKey({ ...key, state: stateAfter(key), deletionDate: undefined });
  return { KeyId: key.arn };
};

/** Disabled whatever it was before, as AWS has it; but a key without material could be enabled from there and would still do nothing. */
function stateAfter({ backingKeys }: KmsKey): KmsKey['state'] {
  return backingKeys.length === 0 ? 'PendingImport' : 'Disabled';
}
