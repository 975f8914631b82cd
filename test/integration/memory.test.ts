import {
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DecryptCommand,
  DeriveSharedSecretCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateMacCommand,
  GenerateRandomCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  type KMSClient,
  ReEncryptCommand,
  SignCommand,
  VerifyCommand,
} from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { knownBackingKey } from '@keyfleet/test-support/known-backing-keys';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { findInMemory } from '@keyfleet/test-support/process-memory';
import { anyMaterial } from '@keyfleet/test-support/wrapped';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const KEYS = 4;
const description = 'a description that the frontend surely has seen';
const HMAC_512_BYTES = 64;

/** Symmetric keys, then HMAC keys, each used once, so that workers hold them opened. */
async function makeAndUseKeys(kms: KMSClient): Promise<void> {
  for (let count = 0; count < KEYS; count++) {
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({ Description: description }));
    await kms.send(new EncryptCommand({ KeyId: KeyMetadata?.KeyId, Plaintext: Buffer.from('plaintext') }));
  }
  for (let count = 0; count < KEYS; count++) {
    const hmac = { KeySpec: 'HMAC_512', KeyUsage: 'GENERATE_VERIFY_MAC' } as const;
    const { KeyMetadata } = await kms.send(new CreateKeyCommand(hmac));
    const KeyId = KeyMetadata?.KeyId;
    await kms.send(new DescribeKeyCommand({ KeyId }));
    await kms.send(new GenerateMacCommand({ KeyId, Message: Buffer.from('message'), MacAlgorithm: 'HMAC_SHA_512' }));
  }
}

/** A symmetric key and a private key of P-256, imported and used: the bytes, and the scalar. */
async function importAndUseKeys(kms: KMSClient): Promise<Buffer[]> {
  const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
  const importInto = async (kind: CreateKeyCommandInput, material: Uint8Array) => {
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({ ...kind, Origin: 'EXTERNAL' }));
    const KeyId = KeyMetadata!.KeyId!;
    const parameters = await kms.send(new GetParametersForImportCommand({ KeyId, ...anyMaterial }));
    const { ImportToken, PublicKey } = parameters;
    const EncryptedKeyMaterial = wrapMaterial(anyMaterial.WrappingAlgorithm, PublicKey!, material);
    await kms.send(new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...forEver }));
    return KeyId;
  };
  const symmetric = randomBytes(32);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const first = await importInto({}, symmetric);
  await kms.send(new EncryptCommand({ KeyId: first, Plaintext: Buffer.from('plaintext') }));
  const kind = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' } as const;
  const KeyId = await importInto(kind, privateKey.export({ format: 'der', type: 'pkcs8' }));
  await kms.send(new SignCommand({ KeyId, Message: Buffer.from('message'), SigningAlgorithm: 'ECDSA_SHA_256' }));
  return [symmetric, privateKey.export({ format: 'raw-private' })];
}

/** Secrets as bytes, and as text would carry them; called `key 0`, `key 0 in hex` and so on. */
function needlesOf(secrets: readonly Buffer[], name = 'key'): Map<string, Buffer> {
  return new Map(
    secrets.flatMap((secret, index) => [
      [`${name} ${index}`, secret],
      [`${name} ${index} in hex`, Buffer.from(secret.toString('hex'))],
      [`${name} ${index} in base64`, Buffer.from(secret.toString('base64').replace(/=+$/, ''))],
    ]),
  );
}

test('no backing key stands in the memory of the frontend, in Redis, or in any file of the cluster', async () => {
  const workerMain = join(import.meta.dirname, '../support/known-random-worker.ts');
  await using cluster = await startTestCluster({ workers: 1, workerMain });
  await makeAndUseKeys(kmsClient(cluster));
  const imported = await importAndUseKeys(kmsClient(cluster));

  const known = Array.from({ length: 2 * KEYS }, (_, count) =>
    knownBackingKey('hsm-worker-1', count, count < KEYS ? 32 : HMAC_512_BYTES),
  );
  const needles = new Map([...needlesOf(known), ...needlesOf(imported, 'imported key')]);
  const control = new Map([...needles, ['description', Buffer.from(description)]]);

  // The search works, and these are the keys: the worker has them in its memory, and the frontend has the description.
  const inWorker = findInMemory(cluster.pid('hsm-worker-1') ?? 0, needles);
  expect(inWorker).toEqual(expect.arrayContaining([...known.map((_, index) => `key ${index}`), 'imported key 0']));
  expect(findInMemory(cluster.pid('frontend') ?? 0, control)).toEqual(['description']);
  expect(findInMemory(cluster.pid('redis') ?? 0, control)).toEqual(['description']);
  expect(findInMemory(cluster.pid('domain-manager') ?? 0, needles)).toEqual([]);
  expect(findInMemory(cluster.pid('nats') ?? 0, needles)).toEqual([]);

  const files = globSync('**', { cwd: cluster.home.path })
    .map((name) => join(cluster.home.path, name))
    .filter((path) => statSync(path).isFile());
  const contents = files.map((path) => readFileSync(path));
  expect(contents.some((bytes) => bytes.includes(description))).toBe(true);
  const leaks = [...needles].filter(([, needle]) => contents.some((bytes) => bytes.includes(needle)));
  expect(leaks.map(([name]) => name)).toEqual([]);
});

const ROUNDS = 30;
const bytesOf = (bytes: Uint8Array | undefined): Buffer => Buffer.from(bytes ?? []);

const secretKinds = ['plaintext', 'data key', 'random', 'private key', 'shared secret', 'mu'] as const;
type SecretKind = (typeof secretKinds)[number];

/** Everything secret that callers gave or were given, by what it is. Each is 32 random bytes or more. */
async function useSecrets(kms: KMSClient): Promise<Map<string, Buffer[]>> {
  const made: Record<SecretKind, Buffer[]> = {
    plaintext: [],
    'data key': [],
    random: [],
    'private key': [],
    'shared secret': [],
    mu: [],
  };
  const idOf = async (key: CreateKeyCommandInput) =>
    (await kms.send(new CreateKeyCommand(key))).KeyMetadata?.KeyId ?? '';
  const KeyId = await idOf({});
  const rsa = await idOf({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  const agreement = await idOf({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' });
  const lattice = await idOf({ KeySpec: 'ML_DSA_44', KeyUsage: 'SIGN_VERIFY' });
  const oaep = 'RSAES_OAEP_SHA_256' as const;
  for (let round = 0; round < ROUNDS; round++) {
    const Plaintext = randomBytes(round % 3 === 0 ? 4000 : 32 + round);
    made.plaintext.push(Plaintext.subarray(0, 32));
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext }));
    await kms.send(new DecryptCommand({ CiphertextBlob }));
    // What does not open must leave nothing behind either.
    await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { a: 'b' } })).catch(() => undefined);
    const DestinationKeyId = KeyId;
    await kms.send(
      new ReEncryptCommand({ CiphertextBlob, DestinationKeyId, DestinationEncryptionContext: { a: 'b' } }),
    );
    const short = Plaintext.subarray(0, 32);
    const wrapped = await kms.send(new EncryptCommand({ KeyId: rsa, Plaintext: short, EncryptionAlgorithm: oaep }));
    const { CiphertextBlob: blob } = wrapped;
    await kms.send(new DecryptCommand({ KeyId: rsa, CiphertextBlob: blob, EncryptionAlgorithm: oaep }));
    const dataKey = await kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
    made['data key'].push(bytesOf(dataKey.Plaintext));
    made.random.push(bytesOf((await kms.send(new GenerateRandomCommand({ NumberOfBytes: 32 }))).Plaintext));
    const pair = await kms.send(new GenerateDataKeyPairCommand({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }));
    // PKCS #8 of P-256: the scalar is 32 bytes at offset 36 (RFC 5915 in RFC 5208).
    made['private key'].push(bytesOf(pair.PrivateKeyPlaintext).subarray(36, 68));
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const PublicKey = publicKey.export({ format: 'der', type: 'spki' });
    const derive = { KeyId: agreement, PublicKey, KeyAgreementAlgorithm: 'ECDH' } as const;
    // JavaScript signs it, on a thread of its own. (Of digests, noble makes copies that it leaves.)
    const Message = randomBytes(64);
    made.mu.push(Message);
    const mu = { KeyId: lattice, Message, MessageType: 'EXTERNAL_MU', SigningAlgorithm: 'ML_DSA_SHAKE_256' } as const;
    const { Signature } = await kms.send(new SignCommand(mu));
    await kms.send(new VerifyCommand({ ...mu, Signature }));
    made['shared secret'].push(bytesOf((await kms.send(new DeriveSharedSecretCommand(derive))).SharedSecret));
  }
  return new Map(Object.entries(made));
}

test('a worker keeps nothing of what it was given or gave: secrets are overwritten when their answer is sealed', async () => {
  const workerMain = join(import.meta.dirname, '../support/leaky-worker.ts');
  await using cluster = await startTestCluster({ workers: 2, workerMain });
  const secrets = await useSecrets(kmsClient(cluster));
  secrets.set('credential', [Buffer.from(cluster.credentials.secretAccessKey)]);
  const needles = new Map([...secrets].flatMap(([name, values]) => [...needlesOf(values, name)]));
  /** What of the secrets a process holds, by their kind. */
  const heldBy = (process: string): Record<string, number> => {
    const names = findInMemory(cluster.pid(process) ?? 0, needles).map((name) => name.replace(/ \d+/, ''));
    return Object.fromEntries(Object.entries(Object.groupBy(names, (name) => name)).map(([k, v]) => [k, v!.length]));
  };
  /** Only one worker is there to open the credential of a frontend that knows none yet. */
  const openCredentialBy = async (worker: string, other: string) => {
    await cluster.kill(other, 'frontend');
    if (cluster.pid(worker) === undefined) await cluster.restart(worker);
    await cluster.restart('frontend');
    await kmsClient(cluster).send(new GenerateRandomCommand({ NumberOfBytes: 32 }));
  };

  // Nothing is waited for: what is searched now must be gone already, and does not come back by itself.
  expect(heldBy('hsm-worker-1')).toEqual({});
  // The same searched where nothing is overwritten: whatever passes through a worker would be found.
  expect(Object.keys(heldBy('hsm-worker-2'))).toEqual(expect.arrayContaining([...secretKinds]));

  await openCredentialBy('hsm-worker-1', 'hsm-worker-2');
  expect(heldBy('hsm-worker-1')).toEqual({});
  await openCredentialBy('hsm-worker-2', 'hsm-worker-1');
  expect(heldBy('hsm-worker-2')).toHaveProperty('credential');
});
