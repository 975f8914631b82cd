import type { DeriveSharedSecret } from '@keyfleet/shared/api/agree';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { HsmRefusedError } from '../../hsm/commands.ts';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import type { Deps, Handler } from '../handler.ts';

export const deriveSharedSecret: Handler<typeof DeriveSharedSecret, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const { KeyAgreementAlgorithm: algorithm, PublicKey: publicKey } = input;

  const command = { ...commandKeyOf(key), publicKey };
  // A dry run agrees too: whether the other party's key is one is for the HSM to say.
  const { sharedSecret } = await hsm.execute('DeriveSharedSecret', command, deadline).catch((error: unknown) => {
    throw isInvalidPublicKey(error) ? new KmsException('ValidationException', '', { cause: error }) : error;
  });
  return { KeyId: key.arn, SharedSecret: sharedSecret, KeyAgreementAlgorithm: algorithm, KeyOrigin: key.origin };
};

/** AWS answers it with an empty message, as recorded. */
function isInvalidPublicKey(error: unknown): boolean {
  return error instanceof HsmRefusedError && error.refusal === 'invalid-public-key';
}
