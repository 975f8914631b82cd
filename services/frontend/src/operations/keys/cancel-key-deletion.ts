import type { CancelKeyDeletion } from '@keyfleet/shared/api/keys';
import { changeKey } from '../../keys/change-key.ts';
import type { KmsKey } from '../../keys/kms-key.ts';
import type { Deps, Handler } from '../handler.ts';

export const cancelKeyDeletion: Handler<typeof CancelKeyDeletion, Pick<Deps, 'keys'>> = async (
  _input,
  { key },
  { keys },
) => {
  await changeKey(key, {
    keys,
    operation: 'CancelKeyDeletion',
    change: (current) => ({ state: stateAfter(current), deletionDate: undefined }),
  });
  return { KeyId: key.arn };
};

/** Disabled whatever it was before, as AWS has it; but a key without material could be enabled from there and would still do nothing. */
function stateAfter({ backingKeys }: KmsKey): KmsKey['state'] {
  return backingKeys.length === 0 ? 'PendingImport' : 'Disabled';
}
