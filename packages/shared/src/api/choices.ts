import {
  encapsulationAlgorithms,
  encryptionAlgorithms,
  keyAgreementAlgorithms,
  macAlgorithms,
  messageTypes,
  signingAlgorithms,
} from '../algorithms.ts';
import {
  dataKeyPairSpecs,
  type KeySpec as KeySpecName,
  keySpecs,
  keyStates,
  keyUsages,
  origins,
  rotationTypes,
  specsOf,
} from '../key-specs.ts';
import { choice } from './shape.ts';

/**
 * The API's enumerations, as in AWS's model. Deviations are marked where AWS's validation message is known to list
 * values in another order, or a Region is known to accept something else. SM2 is offered only in China, so the key
 * specs here do not include it.
 */
export const WrappingAlgorithm = choice([
  'RSAES_PKCS1_V1_5',
  'RSAES_OAEP_SHA_1',
  'RSAES_OAEP_SHA_256',
  'RSA_AES_KEY_WRAP_SHA_1',
  'RSA_AES_KEY_WRAP_SHA_256',
  'SM2PKE',
]);
export const ConnectionErrorCode = choice([
  'INVALID_CREDENTIALS',
  'CLUSTER_NOT_FOUND',
  'NETWORK_ERRORS',
  'INTERNAL_ERROR',
  'INSUFFICIENT_CLOUDHSM_HSMS',
  'USER_LOCKED_OUT',
  'USER_NOT_FOUND',
  'USER_LOGGED_IN',
  'SUBNET_NOT_FOUND',
  'INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET',
  'XKS_PROXY_ACCESS_DENIED',
  'XKS_PROXY_NOT_REACHABLE',
  'XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND',
  'XKS_PROXY_INVALID_RESPONSE',
  'XKS_PROXY_INVALID_CONFIGURATION',
  'XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION',
  'XKS_PROXY_TIMED_OUT',
  'XKS_PROXY_INVALID_TLS_CONFIGURATION',
]);
export const ConnectionState = choice(['CONNECTED', 'CONNECTING', 'FAILED', 'DISCONNECTED', 'DISCONNECTING']);
export const CustomKeyStoreType = choice(['AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE']);
/** As recorded from AWS in 2023, in the order of its messages; later ones follow. */
const recordedKeySpecs = [
  'RSA_2048',
  'ECC_NIST_P384',
  'ECC_NIST_P256',
  'ECC_NIST_P521',
  'HMAC_384',
  'RSA_3072',
  'ECC_SECG_P256K1',
  'RSA_4096',
  'SYMMETRIC_DEFAULT',
  'HMAC_256',
  'HMAC_224',
  'HMAC_512',
] as const satisfies readonly KeySpecName[];
export const CustomerMasterKeySpec = choice(specsOf('rsa', 'ec', 'symmetric', 'hmac', 'sm2'), {
  accepted: recordedKeySpecs,
});
export const DataKeyPairSpec = choice([...dataKeyPairSpecs, ...specsOf('sm2')], { accepted: dataKeyPairSpecs });
/** For a wrong value AWS reportedly lists the specs of key pairs. */
export const DataKeySpec = choice(['AES_256', 'AES_128'], { listed: dataKeyPairSpecs });
export const DryRunModifier = choice(['IGNORE_CIPHERTEXT']);
export const EncapsulationAlgorithm = choice(encapsulationAlgorithms);
export const EncryptionAlgorithm = choice(encryptionAlgorithms, {
  listed: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE', 'SYMMETRIC_DEFAULT'],
});
export const ExpirationModel = choice(['KEY_MATERIAL_EXPIRES', 'KEY_MATERIAL_DOES_NOT_EXPIRE']);
export const GrantOperation = choice([
  'Decrypt',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'ReEncryptFrom',
  'ReEncryptTo',
  'Sign',
  'Verify',
  'GetPublicKey',
  'CreateGrant',
  'RetireGrant',
  'DescribeKey',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
  'GenerateMac',
  'VerifyMac',
  'DeriveSharedSecret',
  'Encapsulate',
  'Decapsulate',
]);
export const ImportState = choice(['IMPORTED', 'PENDING_IMPORT']);
export const ImportType = choice(['NEW_KEY_MATERIAL', 'EXISTING_KEY_MATERIAL']);
export const IncludeKeyMaterial = choice(['ALL_KEY_MATERIAL', 'ROTATIONS_ONLY']);
export const KeyAgreementAlgorithm = choice(keyAgreementAlgorithms);
export const KeyEncryptionMechanism = choice(['RSAES_OAEP_SHA_256']);
export const TrackedOperation = choice([
  'Decrypt',
  'DeriveSharedSecret',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateMac',
  'ReEncrypt',
  'Sign',
  'Verify',
  'VerifyMac',
  'Encapsulate',
  'Decapsulate',
]);
export const KeyManager = choice(['AWS', 'CUSTOMER']);
export const KeyMaterialState = choice([
  'NON_CURRENT',
  'CURRENT',
  'PENDING_ROTATION',
  'PENDING_MULTI_REGION_IMPORT_AND_ROTATION',
]);
export const KeySpec = choice(Object.keys(keySpecs) as [KeySpecName, ...KeySpecName[]], {
  accepted: [...recordedKeySpecs, ...specsOf('ed25519'), ...specsOf('ml-dsa', 'ml-kem')],
});
export const KeyState = choice(keyStates);
export const KeyUsage = choice(keyUsages);
export const MacAlgorithm = choice(macAlgorithms, {
  listed: ['HMAC_SHA_384', 'HMAC_SHA_256', 'HMAC_SHA_224', 'HMAC_SHA_512'],
});
export const MessageType = choice(messageTypes);
export const MultiRegionKeyType = choice(['PRIMARY', 'REPLICA']);
export const Origin = choice(origins);
export const ResourceOwner = choice(['SELF', 'OTHER_ACCOUNTS_VIA_RAM']);
export const RotationType = choice(rotationTypes);
/** SYMMETRIC_DEFAULT is not a signing algorithm, yet AWS answers that the key does not have it. */
export const SigningAlgorithm = choice(signingAlgorithms, {
  accepted: [...signingAlgorithms, 'SYMMETRIC_DEFAULT'],
  listed: signingAlgorithms,
});
export const WrappingKeySpec = choice(specsOf('rsa', 'sm2'));
export const XksProxyConnectivity = choice(['PUBLIC_ENDPOINT', 'VPC_ENDPOINT_SERVICE']);
