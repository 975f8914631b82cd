import type { Decapsulate, DeriveSharedSecret, Encapsulate } from '@keyfleet/shared/api/agree';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { HsmRefusedError } from '../hsm/commands.ts';
import { commandKeyOf } from '../keys/backing-keys.ts';
import { opened } from './ciphertexts.ts';
import type { Deps, Handler } from './handler.ts';

export const deriveSharedSecret: Handler<typeof DeriveSharedSecret, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline, attestation },
  { hsm },
) => {
  const { KeyAgreementAlgorithm: algorithm, PublicKey: publicKey } = input;
  const command = { ...commandKeyOf(key), publicKey };
  const answer = { KeyId: key.arn, KeyAgreementAlgorithm: algorithm, KeyOrigin: key.origin };
  // A dry run derives too: only the HSM can tell whether the other party's key is valid.
  if (attestation === undefined) {
    const { sharedSecret } = await agreed(hsm.execute('DeriveSharedSecret', command, deadline));
    return { ...answer, SharedSecret: sharedSecret };
  }
  const attested = { ...command, recipient: attestation.publicKey };
  const made = await agreed(hsm.execute('DeriveSharedSecretForRecipient', attested, deadline));
  return { ...answer, CiphertextForRecipient: made.ciphertextForRecipient };
};

/** AWS answers an invalid public key with an empty message, as recorded. */
async function agreed<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const isInvalid = error instanceof HsmRefusedError && error.refusal === 'invalid-public-key';
    throw isInvalid ? new KmsException('ValidationException', '', { cause: error }) : error;
  }
}

export const encapsulate: Handler<typeof Encapsulate, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const { EncapsulationAlgorithm: algorithm } = input;
  const { sharedSecret, ciphertext } = await hsm.execute('Encapsulate', commandKeyOf(key), deadline);
  return {
    KeyId: key.arn,
    SharedSecret: sharedSecret,
    SharedSecretCiphertextBlob: ciphertext,
    EncapsulationAlgorithm: algorithm,
  };
};

/** Any ciphertext of the right length yields some secret: ML-KEM rejects implicitly (FIPS 203, 6.3). */
export const decapsulate: Handler<typeof Decapsulate, Pick<Deps, 'hsm'>> = async (
  input,
  { key, deadline },
  { hsm },
) => {
  const { EncapsulationAlgorithm: algorithm, SharedSecretCiphertextBlob: ciphertext } = input;
  const command = { ...commandKeyOf(key), ciphertext };
  const { sharedSecret } = await opened(hsm.execute('Decapsulate', command, deadline), key);
  return { KeyId: key.arn, SharedSecret: sharedSecret, EncapsulationAlgorithm: algorithm };
};
