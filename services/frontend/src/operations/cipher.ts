import type { Decrypt, Encrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import type { InputOf } from '@keyfleet/shared/api/operation';
import { HsmRefusedError } from '../hsm/commands.ts';
import { commandKeyOf, currentBackingKey } from '../keys/backing-keys.ts';
import type { BackingKey, KmsKey } from '../keys/kms-key.ts';
import {
  capacityOf,
  contextOf,
  doesNotFit,
  opened,
  openingKeyOf,
  requireCiphertext,
  tellsMaterial,
  useOf,
} from './ciphertexts.ts';
import type { Deps, Handler } from './handler.ts';

type CipherDeps = Pick<Deps, 'hsm' | 'secondEncryption' | 'clock'>;

export const encrypt: Handler<typeof Encrypt, CipherDeps> = async (input, call, { hsm, secondEncryption }) => {
  const { key, deadline } = call;
  const { EncryptionAlgorithm: algorithm, Plaintext: plaintext } = input;
  const encryptionContext = contextOf(input.EncryptionContext, algorithm);

  const command = { ...commandKeyOf(key), algorithm, encryptionContext, plaintext };
  const { ciphertext } = await hsm.execute('Encrypt', command, deadline);
  const blob = await secondEncryption.encrypt(key, ciphertext, useOf(call, 'Encrypt'));
  return { CiphertextBlob: blob, KeyId: key.arn, EncryptionAlgorithm: algorithm };
};

export const decrypt: Handler<typeof Decrypt, CipherDeps> = async (input, call, { hsm, secondEncryption, clock }) => {
  const { key, deadline, attestation } = call;
  const { EncryptionAlgorithm: algorithm } = input;
  const blob = requireCiphertext(input.CiphertextBlob);
  const backingKey = openingKeyOf(key, blob, clock.now());
  const ciphertext = await secondEncryption.decrypt(key, blob, useOf(call, 'Decrypt'));
  const encryptionContext = contextOf(input.EncryptionContext, algorithm);

  const command = { ...commandKeyOf(key, backingKey), algorithm, encryptionContext, ciphertext };
  const answer = { KeyId: key.arn, EncryptionAlgorithm: algorithm };
  // A dry run opens the ciphertext too, and so answers what the call itself would.
  if (attestation !== undefined) {
    const attested = { ...command, recipient: attestation.publicKey };
    const made = await opened(hsm.execute('DecryptForRecipient', attested, deadline), key);
    return { ...answer, CiphertextForRecipient: made.ciphertextForRecipient };
  }
  const { plaintext } = await opened(hsm.execute('Decrypt', command, deadline), key);
  return { ...answer, Plaintext: plaintext, ...(tellsMaterial(key) && { KeyMaterialId: backingKey.materialId }) };
};

export const reEncrypt: Handler<typeof ReEncrypt, CipherDeps> = async (
  input,
  call,
  { hsm, secondEncryption, clock },
) => {
  const { key: source, otherKey: destination, deadline } = call;
  if (!destination) throw new Error('ReEncrypt was admitted to one key only');
  const blob = requireCiphertext(input.CiphertextBlob);
  const from = openingKeyOf(source, blob, clock.now());
  const use = useOf(call, 'ReEncrypt');
  const ciphertext = await secondEncryption.decrypt(source, blob, use);
  const to = currentBackingKey(destination);
  const command = {
    sourceKeyId: source.keyId,
    sourceAccount: source.accountId,
    sourceToken: from.token,
    sourceAlgorithm: input.SourceEncryptionAlgorithm,
    sourceContext: contextOf(input.SourceEncryptionContext, input.SourceEncryptionAlgorithm),
    ciphertext,
    destinationKeyId: destination.keyId,
    destinationAccount: destination.accountId,
    destinationToken: to.token,
    destinationAlgorithm: input.DestinationEncryptionAlgorithm,
    destinationContext: contextOf(input.DestinationEncryptionContext, input.DestinationEncryptionAlgorithm),
  };
  // A dry run opens the ciphertext too, and so answers what the call itself would.
  const result = await fitted(opened(hsm.execute('ReEncrypt', command, deadline), source), input, destination);
  const CiphertextBlob = await secondEncryption.encrypt(destination, result.ciphertext, use);
  return { CiphertextBlob, ...describe(input, { source, from, destination, to }) };
};

/**
 * Only the HSM knows the plaintext's length. The earlier checks have refused every other invalid input, so if the
 * destination's algorithm has a limit, `invalid-input` means that the plaintext is too long.
 */
async function fitted<T>(
  answer: Promise<T>,
  { DestinationEncryptionAlgorithm: algorithm }: InputOf<typeof ReEncrypt>,
  { keySpec }: KmsKey,
): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const isRefused = error instanceof HsmRefusedError && error.refusal === 'invalid-input';
    if (isRefused && capacityOf(algorithm, keySpec) < Infinity) throw doesNotFit(algorithm, keySpec, error);
    throw error;
  }
}

interface Materials {
  readonly source: KmsKey;
  readonly from: BackingKey;
  readonly destination: KmsKey;
  readonly to: BackingKey;
}

function describe(input: InputOf<typeof ReEncrypt>, { source, from, destination, to }: Materials) {
  return {
    SourceKeyId: source.arn,
    KeyId: destination.arn,
    SourceEncryptionAlgorithm: input.SourceEncryptionAlgorithm,
    DestinationEncryptionAlgorithm: input.DestinationEncryptionAlgorithm,
    ...(tellsMaterial(source) && { SourceKeyMaterialId: from.materialId }),
    ...(tellsMaterial(destination) && { DestinationKeyMaterialId: to.materialId }),
  };
}
