import type { KeySpec } from '@keyfleet/shared/key-specs';
import { createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import { bytesOf, check, contextOf, type Scenario } from './scenario.ts';
import { shortName, specsFor } from './spec-names.ts';

/** RSA, where what OAEP can take is short whatever the payload is. */
const RSA_PLAINTEXT = 32;

export const keyExchangeScenarios: readonly Scenario[] = [
  ...specsFor('ENCRYPT_DECRYPT')
    .filter((spec) => spec.startsWith('RSA'))
    .flatMap((spec) => [rsa(spec, 'Encrypt'), rsa(spec, 'Decrypt')]),
  ...specsFor('KEY_AGREEMENT').map(agreeing),
  ...specsFor('ENCAPSULATE_DECAPSULATE').flatMap((spec) => [
    encapsulating(spec, 'Encapsulate'),
    encapsulating(spec, 'Decapsulate'),
  ]),
  ...(['RSA_2048', 'ECC_NIST_P256', 'ECC_NIST_EDWARDS25519'] as const).map(dataKeyPairs),
];

function rsa(spec: KeySpec, operation: 'Encrypt' | 'Decrypt'): Scenario {
  return {
    name: `${operation.toLowerCase()}-${shortName(spec)}`,
    operation,
    async prepare({ caller, pool }) {
      const KeyId = await pool.one({ KeySpec: spec, KeyUsage: 'ENCRYPT_DECRYPT' });
      const algorithm = { KeyId, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' };
      const encrypt = { ...algorithm, Plaintext: bytesOf(RSA_PLAINTEXT) };
      const { CiphertextBlob } = await caller.call('Encrypt', encrypt);
      const decrypt = { ...algorithm, CiphertextBlob };
      const { Plaintext } = await caller.call('Decrypt', decrypt);
      check(Plaintext === encrypt.Plaintext, `what was encrypted under ${spec} does not decrypt to itself`);
      return [{ operation, input: operation === 'Encrypt' ? encrypt : decrypt }];
    },
  };
}

function agreeing(spec: KeySpec): Scenario {
  return {
    name: `derive-shared-secret-${shortName(spec)}`,
    operation: 'DeriveSharedSecret',
    async prepare({ caller, pool }) {
      const KeyId = await pool.one({ KeySpec: spec, KeyUsage: 'KEY_AGREEMENT' });
      const der = Buffer.from(String((await caller.call('GetPublicKey', { KeyId }))['PublicKey']), 'base64');
      const theirs = createPublicKey({ key: der, format: 'der', type: 'spki' });
      const ours = generateKeyPairSync('ec', { namedCurve: theirs.asymmetricKeyDetails!.namedCurve! });
      const PublicKey = ours.publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
      const input = { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey };
      const { SharedSecret } = await caller.call('DeriveSharedSecret', input);
      const secret = diffieHellman({ privateKey: ours.privateKey, publicKey: theirs }).toString('base64');
      check(SharedSecret === secret, `the secret it derives under ${spec} is not the one of the other side`);
      return [{ operation: 'DeriveSharedSecret', input }];
    },
  };
}

function encapsulating(spec: KeySpec, operation: 'Encapsulate' | 'Decapsulate'): Scenario {
  return {
    name: `${operation.toLowerCase()}-${shortName(spec)}`,
    operation,
    async prepare({ caller, pool }) {
      const KeyId = await pool.one({ KeySpec: spec, KeyUsage: 'ENCAPSULATE_DECAPSULATE' });
      const base = { KeyId, EncapsulationAlgorithm: 'ML_KEM' };
      const made = await caller.call('Encapsulate', base);
      const decapsulate = { ...base, SharedSecretCiphertextBlob: made['SharedSecretCiphertextBlob'] };
      const { SharedSecret } = await caller.call('Decapsulate', decapsulate);
      check(SharedSecret === made['SharedSecret'], `what ${spec} encapsulates is not what it decapsulates`);
      return [{ operation, input: operation === 'Encapsulate' ? base : decapsulate }];
    },
  };
}

function dataKeyPairs(spec: KeySpec): Scenario {
  return {
    name: `generate-data-key-pair-${shortName(spec)}`,
    operation: 'GenerateDataKeyPair',
    async prepare({ caller, pool, context }) {
      const input = { KeyId: await pool.one({}), KeyPairSpec: spec, ...contextOf(context) };
      const made = await caller.call('GenerateDataKeyPair', input);
      const blob = { CiphertextBlob: made['PrivateKeyCiphertextBlob'], ...contextOf(context) };
      const { Plaintext } = await caller.call('Decrypt', blob);
      check(Plaintext === made['PrivateKeyPlaintext'], 'the private key it seals is not the one it gives');
      return [{ operation: 'GenerateDataKeyPair', input }];
    },
  };
}
