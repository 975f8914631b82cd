import type {
  GenerateDataKey,
  GenerateDataKeyPair,
  GenerateDataKeyPairWithoutPlaintext,
  GenerateDataKeyWithoutPlaintext,
} from '@keyfleet/shared/api/data-keys';
import type { GenerateRandom } from '@keyfleet/shared/api/random';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { InputOf as CommandInput } from '@keyfleet/shared/hsm/commands';
import { commandKeyOf, currentBackingKey } from '../keys/backing-keys.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { contextOf, tellsMaterial, useOf } from './ciphertexts.ts';
import { randomBytesOf } from './cloudhsm-key-stores.ts';
import type { Deps, Handler, KeyCall } from './handler.ts';
import type { StoreDeps } from './store-work.ts';

/** Bytes. */
const lengths = { AES_256: 32, AES_128: 16 } as const;

type DataKeyDeps = Pick<Deps, 'hsm' | 'secondEncryption'>;

export const generateDataKey: Handler<typeof GenerateDataKey, DataKeyDeps> = async (input, call, deps) => {
  const { hsm, secondEncryption } = deps;
  const length = dataKeyLengthOf(input);
  const { key, deadline, attestation } = call;
  if (attestation !== undefined) {
    const attested = { ...wrappingOf(call, input.EncryptionContext), length, recipient: attestation.publicKey };
    const made = await hsm.execute('GenerateDataKeyForRecipient', attested, deadline);
    const blob = await secondEncryption.encrypt(key, made.ciphertext, useOf(call, 'GenerateDataKey'));
    return { CiphertextBlob: blob, CiphertextForRecipient: made.ciphertextForRecipient, KeyId: key.arn };
  }
  const command = { ...wrappingOf(call, input.EncryptionContext), length, withPlaintext: true };
  const { ciphertext, plaintext } = await hsm.execute('GenerateDataKey', command, deadline);
  if (!plaintext) throw new Error('the HSM left out the plaintext of a data key');
  try {
    const blob = await secondEncryption.encrypt(key, ciphertext, useOf(call, 'GenerateDataKey'));
    return { CiphertextBlob: blob, Plaintext: plaintext, KeyId: key.arn, ...materialOf(key) };
  } catch (error) {
    plaintext.fill(0);
    throw error;
  }
};

export const generateDataKeyWithoutPlaintext: Handler<typeof GenerateDataKeyWithoutPlaintext, DataKeyDeps> = async (
  input,
  call,
  { hsm, secondEncryption },
) => {
  const length = dataKeyLengthOf(input);
  const { key, deadline } = call;
  const command = { ...wrappingOf(call, input.EncryptionContext), length, withPlaintext: false };
  const { ciphertext } = await hsm.execute('GenerateDataKey', command, deadline);
  const blob = await secondEncryption.encrypt(key, ciphertext, useOf(call, 'GenerateDataKeyWithoutPlaintext'));
  return { CiphertextBlob: blob, KeyId: key.arn, ...materialOf(key) };
};

export const generateDataKeyPair: Handler<typeof GenerateDataKeyPair, Pick<Deps, 'hsm'>> = async (
  input,
  call,
  { hsm },
) => {
  const { KeyPairSpec: keyPairSpec } = input;
  const { key, deadline, attestation } = call;
  const wanted = { ...wrappingOf(call, input.EncryptionContext), keyPairSpec };
  if (attestation !== undefined) {
    const attested = { ...wanted, recipient: attestation.publicKey };
    const made = await hsm.execute('GenerateDataKeyPairForRecipient', attested, deadline);
    return {
      PrivateKeyCiphertextBlob: made.ciphertext,
      CiphertextForRecipient: made.ciphertextForRecipient,
      PublicKey: made.publicKey,
      KeyId: key.arn,
      KeyPairSpec: keyPairSpec,
    };
  }
  const command = { ...wanted, withPlaintext: true };
  const { ciphertext, publicKey, privateKey } = await hsm.execute('GenerateDataKeyPair', command, deadline);
  if (!privateKey) throw new Error('the HSM left out the private key of a data key pair');
  return {
    PrivateKeyCiphertextBlob: ciphertext,
    PrivateKeyPlaintext: privateKey,
    PublicKey: publicKey,
    KeyId: key.arn,
    KeyPairSpec: keyPairSpec,
    KeyMaterialId: currentBackingKey(key).materialId,
  };
};

export const generateDataKeyPairWithoutPlaintext: Handler<
  typeof GenerateDataKeyPairWithoutPlaintext,
  Pick<Deps, 'hsm'>
> = async (input, call, { hsm }) => {
  const { KeyPairSpec: keyPairSpec } = input;
  const { key, deadline } = call;
  const command = { ...wrappingOf(call, input.EncryptionContext), keyPairSpec, withPlaintext: false };
  const { ciphertext, publicKey } = await hsm.execute('GenerateDataKeyPair', command, deadline);
  return {
    PrivateKeyCiphertextBlob: ciphertext,
    PublicKey: publicKey,
    KeyId: key.arn,
    KeyPairSpec: keyPairSpec,
    KeyMaterialId: currentBackingKey(key).materialId,
  };
};

export const generateRandom: Handler<typeof GenerateRandom, StoreDeps> = async (
  { NumberOfBytes: length, CustomKeyStoreId: storeId },
  call,
  deps,
) => {
  if (length === undefined) throw new Error('GenerateRandom was let through without a length');
  const { attestation } = call;
  if (storeId !== undefined) return randomBytesOf(storeId, length, { call, deps });
  if (attestation !== undefined) {
    const attested = { length, recipient: attestation.publicKey };
    const made = await deps.hsm.execute('GenerateRandomForRecipient', attested, call.deadline);
    return { CiphertextForRecipient: made.ciphertextForRecipient };
  }
  const { bytes } = await deps.hsm.execute('GenerateRandom', { length }, call.deadline);
  return { Plaintext: bytes };
};

export interface DataKeySize {
  readonly KeySpec?: keyof typeof lengths | undefined;
  readonly NumberOfBytes?: number | undefined;
}

/** Bytes. Throws ValidationException unless exactly one of the two is given. */
export function dataKeyLengthOf({ KeySpec, NumberOfBytes }: DataKeySize): number {
  if ((KeySpec === undefined) === (NumberOfBytes === undefined)) {
    throw new KmsException('ValidationException', 'Please specify either number of bytes or key spec.');
  }
  return KeySpec === undefined ? NumberOfBytes! : lengths[KeySpec];
}

function materialOf(key: KmsKey): { KeyMaterialId?: string } {
  return tellsMaterial(key) ? { KeyMaterialId: currentBackingKey(key).materialId } : {};
}

/** The key and context that a data key is encrypted under, as every command for data keys takes them. */
function wrappingOf(
  { key }: KeyCall,
  context: Readonly<Record<string, string>> | undefined,
): Pick<CommandInput<'GenerateDataKey'>, 'keyId' | 'account' | 'token' | 'encryptionContext'> {
  const encryptionContext = contextOf(context, 'SYMMETRIC_DEFAULT');
  return { ...commandKeyOf(key), encryptionContext };
}
