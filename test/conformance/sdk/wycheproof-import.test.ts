import type { MacAlgorithmSpec } from '@aws-sdk/client-kms';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { kms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { anyMaterial, wrapped } from '@keyfleet/test-support/wrapped';
import { createHmac, createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

/** C2SP/wycheproof testvectors_v1 over HTTP, with the vectors' own keys, imported. */
const vectors = process.env['KEYFLEET_VECTORS'] ?? resolve(import.meta.dirname, '../../../../shared/vectors');
const folder = join(vectors, 'wycheproof');
const isThere = existsSync(folder);

type Fields = Readonly<Record<string, string>>;
interface Group {
  readonly keySize: number;
  readonly tagSize?: number;
  readonly sha?: string;
  readonly privateKeyPkcs8?: string;
  readonly tests: readonly Fields[];
}

function groupsOf(file: string): readonly Group[] {
  return (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { testGroups: readonly Group[] }).testGroups;
}

const hex = (fields: Fields, name: string) => Buffer.from(fields[name]!, 'hex');
const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
const newMacKey = (bits: 224 | 256 | 384 | 512) =>
  newKey({ Origin: 'EXTERNAL', KeySpec: `HMAC_${bits}`, KeyUsage: 'GENERATE_VERIFY_MAC' });

test.runIf(isThere)('what AES-KWP unwraps is imported, and everything else is an invalid ciphertext', async () => {
  const parametersOf = async (KeyId: string) => ({
    KeyId,
    ...(await kms.getParametersForImport({ KeyId, ...anyMaterial })),
  });
  // A token is good for any number of imports.
  const refused = await parametersOf((await newMacKey(224)).KeyId);
  const Message = Buffer.from('message');
  let imported = 0;
  for (const vector of groupsOf('aes_kwp_test.json').find(({ keySize }) => keySize === 256)!.tests) {
    const material = hex(vector, 'msg');
    const isKey = vector['result'] === 'valid' && material.length >= 28 && material.length <= 128;
    const { KeyId, ImportToken, PublicKey } = isKey ? await parametersOf((await newMacKey(224)).KeyId) : refused;
    const aesKey = wrapMaterial('RSAES_OAEP_SHA_256', PublicKey!, hex(vector, 'key'));
    const EncryptedKeyMaterial = Buffer.concat([aesKey, hex(vector, 'ct')]);
    const importing = kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ...forEver });
    if (isKey) {
      await importing;
      const { Mac } = await kms.generateMac({ KeyId, Message, MacAlgorithm: 'HMAC_SHA_224' });
      expect(createHmac('sha224', material).update(Message).digest().equals(Mac!)).toBe(true);
      imported++;
    } else {
      const refusal = vector['result'] === 'valid' ? 'IncorrectKeyMaterialException' : 'InvalidCiphertextException';
      expect(await refusalOf(importing), `vector ${vector['tcId']}`).toBe(refusal);
    }
  }
  expect(imported).toBeGreaterThan(0);
});

test.runIf(isThere).each([
  ['rsa_oaep_2048_sha1_mgf1sha1_test.json', 'RSA_2048', 'RSAES_OAEP_SHA_1'],
  ['rsa_oaep_2048_sha256_mgf1sha256_test.json', 'RSA_2048', 'RSAES_OAEP_SHA_256'],
  ['rsa_oaep_3072_sha256_mgf1sha256_test.json', 'RSA_3072', 'RSAES_OAEP_SHA_256'],
  ['rsa_oaep_4096_sha256_mgf1sha256_test.json', 'RSA_4096', 'RSAES_OAEP_SHA_256'],
] as const)('%s is decrypted by its own private key, imported', async (file, KeySpec, EncryptionAlgorithm) => {
  for (const { privateKeyPkcs8, tests } of groupsOf(file)) {
    const { KeyId } = await newKey({ Origin: 'EXTERNAL', KeySpec, KeyUsage: 'ENCRYPT_DECRYPT' });
    const sent = await wrapped(kms, KeyId, Buffer.from(privateKeyPkcs8!, 'hex'));
    await kms.importKeyMaterial({ KeyId, ...sent, ...forEver });
    for (const vector of tests.filter(({ label }) => label === '')) {
      const decrypting = kms.decrypt({ KeyId, EncryptionAlgorithm, CiphertextBlob: hex(vector, 'ct') });
      if (vector['result'] === 'valid') {
        const { Plaintext } = await decrypting;
        expect(Buffer.from(Plaintext ?? []).toString('hex'), `vector ${vector['tcId']}`).toBe(vector['msg']);
      } else {
        // A ciphertext of no bytes is none to the API.
        const code = vector['ct'] === '' ? /^ValidationException/ : /^InvalidCiphertextException$/;
        expect(await refusalOf(decrypting), `vector ${vector['tcId']}`).toMatch(code);
      }
    }
  }
});

/** Every vector has a key of its own, and each import takes an RSA key: so many of a file. */
const MACS = 12;

test.runIf(isThere).each([224, 256, 384, 512] as const)('hmac_sha%i_test.json: MACs of imported keys', async (bits) => {
  const whole = groupsOf(`hmac_sha${bits}_test.json`).filter(({ tagSize }) => tagSize === bits);
  const usable = whole
    .flatMap(({ tests }) => tests)
    .filter((vector) => {
      const { length } = hex(vector, 'key');
      return vector['msg'] !== '' && length >= bits / 8 && length <= 128;
    });
  const some = (result: string) => usable.filter((vector) => vector['result'] === result).slice(0, MACS / 2);
  for (const vector of [...some('valid'), ...some('invalid')]) {
    const { KeyId } = await newMacKey(bits);
    await kms.importKeyMaterial({ KeyId, ...(await wrapped(kms, KeyId, hex(vector, 'key'))), ...forEver });
    const MacAlgorithm: MacAlgorithmSpec = `HMAC_SHA_${bits}`;
    const verifying = kms.verifyMac({ KeyId, MacAlgorithm, Message: hex(vector, 'msg'), Mac: hex(vector, 'tag') });
    if (vector['result'] === 'valid') expect(await verifying).toMatchObject({ MacValid: true });
    else expect(await refusalOf(verifying)).toBe('KMSInvalidMacException');
  }
});

/** Each of some private keys takes an import, and some flags have hundreds of vectors: so many of each flag. */
const OF_EACH_FLAG = 3;

test.runIf(isThere).each([
  ['ecdh_secp256r1_test.json', 'ECC_NIST_P256', 'P-256', 32],
  ['ecdh_secp384r1_test.json', 'ECC_NIST_P384', 'P-384', 48],
  ['ecdh_secp521r1_test.json', 'ECC_NIST_P521', 'P-521', 66],
] as const)('%s: secrets of imported private keys', async (file, KeySpec, namedCurve, length) => {
  /** The file writes the scalar as a signed integer of any length. */
  const pkcs8Of = (scalar: string) =>
    createPrivateKey({
      key: Buffer.from(
        BigInt(`0x${scalar}`)
          .toString(16)
          .padStart(2 * length, '0'),
        'hex',
      ),
      format: 'raw-private',
      asymmetricKeyType: 'ec',
      namedCurve,
    }).export({ format: 'der', type: 'pkcs8' });
  const vectors = groupsOf(file).flatMap(({ tests }) => tests);
  const some = [...Map.groupBy(vectors, ({ flags, result }) => `${String(flags)} ${result}`).values()];
  const taken = Map.groupBy(
    some.flatMap((alike) => alike.slice(0, OF_EACH_FLAG)),
    (vector) => vector['private']!,
  );
  let derived = 0;
  for (const [scalar, ofKey] of taken) {
    const { KeyId } = await newKey({ Origin: 'EXTERNAL', KeySpec, KeyUsage: 'KEY_AGREEMENT' });
    await kms.importKeyMaterial({ KeyId, ...(await wrapped(kms, KeyId, pkcs8Of(scalar))), ...forEver });
    for (const vector of ofKey) {
      const agreement = { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: hex(vector, 'public') } as const;
      const deriving = kms.deriveSharedSecret(agreement);
      const answer = await deriving.then(
        ({ SharedSecret }) => Buffer.from(SharedSecret!).toString('hex'),
        () => refusalOf(deriving),
      );
      // An acceptable one may be refused; what is taken must be right.
      const answers = { valid: [vector['shared']], invalid: ['ValidationException'] }[vector['result']!];
      const allowed = answers ?? [vector['shared'], 'ValidationException'];
      expect(allowed, `vector ${vector['tcId']}`).toContain(answer);
      if (vector['result'] === 'valid') derived++;
    }
  }
  expect(derived).toBeGreaterThan(0);
});
