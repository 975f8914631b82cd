import { CreateKey, DescribeKey, DisableKey, EnableKey } from '@keyfleet/shared/api/keys';
import { Decrypt, Encrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import { ConnectCustomKeyStore, DisconnectCustomKeyStore } from '@keyfleet/shared/api/custom-key-stores';
import { GenerateDataKey, GenerateDataKeyPair, GenerateDataKeyWithoutPlaintext } from '@keyfleet/shared/api/data-keys';
import { GenerateRandom } from '@keyfleet/shared/api/random';
import { EnableKeyRotation, RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { connectedStore, externalKey, newFrontendWithProxy } from '@keyfleet/test-support/fakes/external-key-store';
import type { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import type { FakeXksProxy } from '@keyfleet/test-support/fakes/xks-proxy';
import { beforeEach, expect, test } from 'vitest';
import { parseExternalBlob } from './external-blob.ts';

let frontend: FakeFrontend;
let proxy: FakeXksProxy;
let storeId: string;
let keyId: string;
let keyArn: string;
beforeEach(async () => {
  ({ frontend, proxy } = newFrontendWithProxy());
  storeId = await connectedStore(frontend);
  ({ KeyId: keyId, Arn: keyArn = '' } = await externalKey(frontend, storeId));
});

const Plaintext = Buffer.from('a secret of the customer');
const EncryptionContext = { purpose: 'test' };
const encrypt = async () =>
  (await frontend.call(Encrypt, { KeyId: keyId, Plaintext, EncryptionContext })).CiphertextBlob!;
const decrypt = (CiphertextBlob: Uint8Array, overrides: object = {}) => ({
  CiphertextBlob,
  EncryptionContext,
  ...overrides,
});

test('a key in an external key store says so, and names no material', async () => {
  const { KeyMetadata } = await frontend.call(DescribeKey, { KeyId: keyId });
  expect(KeyMetadata).toMatchObject({
    Origin: 'EXTERNAL_KEY_STORE',
    CustomKeyStoreId: storeId,
    XksKeyConfiguration: { Id: 'key-1' },
    KeyState: 'Enabled',
  });
  expect(KeyMetadata).not.toHaveProperty('CurrentKeyMaterialId');
});

test.each([12, 16])(
  'a key decrypts what it encrypted, with an IV of %i bytes and metadata of the proxy',
  async (ivLength) => {
    Object.assign(proxy, { ivLength, metadata: Buffer.from('key_version=1') });
    const blob = await encrypt();
    expect(await frontend.call(Decrypt, decrypt(blob))).toEqual({
      KeyId: keyArn,
      Plaintext,
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    });
    const inner = Buffer.from(proxy.requests.at(-2)!.body['plaintext'] as string, 'base64');
    expect(inner.length).toBeGreaterThan(Plaintext.length + 90);
    const { ciphertext, metadata, iv } = parseExternalBlob(blob);
    expect([ciphertext.length, metadata.toString(), iv.length]).toEqual([inner.length, 'key_version=1', ivLength]);
  },
);

test('the proxy is told who asks for what, with which key', async () => {
  await encrypt();
  expect(proxy.requests.at(-1)).toMatchObject({
    path: '/store/kms/xks/v1/keys/key-1/encrypt',
    body: {
      requestMetadata: {
        awsPrincipalArn: 'arn:aws:iam::111122223333:user/alice',
        kmsKeyArn: keyArn,
        kmsOperation: 'Encrypt',
        kmsRequestId: 'request-1',
      },
      encryptionAlgorithm: 'AES_GCM',
      ciphertextDataIntegrityValueAlgorithm: 'SHA_256',
    },
  });
});

test('data keys come out of the blob that came with them', async () => {
  const made = await frontend.call(GenerateDataKey, { KeyId: keyId, KeySpec: 'AES_256', EncryptionContext });
  const opened = await frontend.call(Decrypt, decrypt(made.CiphertextBlob!));
  expect(opened.Plaintext).toEqual(made.Plaintext);
  expect(made).not.toHaveProperty('KeyMaterialId');
  const input = { KeyId: keyId, KeySpec: 'AES_256', EncryptionContext };
  const { CiphertextBlob } = await frontend.call(GenerateDataKeyWithoutPlaintext, input);
  expect((await frontend.call(Decrypt, decrypt(CiphertextBlob!))).Plaintext).toHaveLength(32);
});

const inner = 'what the proxy saw, and no more';
test(`${inner}, opens nothing without it`, async () => {
  await encrypt();
  const seen = Buffer.from(proxy.requests.at(-1)!.body['plaintext'] as string, 'base64');
  expect(await frontend.refusal(Decrypt, decrypt(seen))).toBe('InvalidCiphertextException');
});

const wrong =
  'KMSInvalidStateException: The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, missing, or otherwise invalid.';
const rejected =
  'KMSInvalidStateException: The external key store proxy rejected the request because the specified ciphertext or encryption context is corrupted, missing, or otherwise invalid.';

test('a blob that was changed, or another context, opens nothing', async () => {
  const blob = Buffer.from(await encrypt());
  expect(await frontend.refusal(Decrypt, decrypt(blob, { EncryptionContext: {} }))).toBe(wrong);
  for (const at of [51, blob.length - 1, blob.length - 17]) {
    const changed = Buffer.from(blob);
    changed[at]! ^= 1;
    expect(await frontend.refusal(Decrypt, decrypt(changed))).toBe(rejected);
  }
  expect(await frontend.refusal(Decrypt, decrypt(blob.subarray(0, 80)))).toBe('InvalidCiphertextException');
});

const bad =
  'AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to your external key store proxy administrator.';

test.each([
  ['another tag', (answer: object) => ({ ...answer, authenticationTag: Buffer.alloc(16).toString('base64') })],
  ['a shorter ciphertext', (answer: object) => ({ ...answer, ciphertext: 'AAAA' })],
  ['an IV of 13 bytes', (answer: object) => ({ ...answer, initializationVector: Buffer.alloc(13).toString('base64') })],
  [
    'metadata of 21 bytes',
    (answer: object) => ({ ...answer, ciphertextMetadata: Buffer.alloc(21).toString('base64') }),
  ],
  ['no integrity value', (answer: object) => ({ ...answer, ciphertextDataIntegrityValue: undefined })],
  ['nothing', () => ({})],
])('a proxy that encrypts and answers %s is not believed', async (_what, lie) => {
  proxy.lie = lie;
  const refusal = await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext });
  expect(refusal).toBe(`KMSInvalidStateException: ${bad}`);
});

test('a proxy that decrypts to something else is not believed', async () => {
  const blob = await encrypt();
  const other = Buffer.from(proxy.requests.at(-1)!.body['plaintext'] as string, 'base64');
  proxy.lie = () => ({ plaintext: Buffer.alloc(other.length).toString('base64') });
  expect(await frontend.refusal(Decrypt, decrypt(blob))).toBe(wrong);
});

test.each([
  ['InvalidStateException', /is not enabled in the external key manager/],
  ['InvalidKeyUsageException', /does not support the requested operation/],
  ['AccessDeniedException', /denied access to the operation/],
  ['KeyNotFoundException', /was not found in its external key manager/],
  ['UnsupportedOperationException', /does not support the requested operation/],
  ['DependencyTimeoutException', /did not respond to the request in the time allotted/],
  ['ThrottlingException', /a very high request rate/],
  ['InternalException', /cannot communicate with the external key manager/],
])('%s of the proxy is KMSInvalidStateException', async (errorName, text) => {
  frontend.answerOfProxy = async () => ({ status: 400, body: Buffer.from(JSON.stringify({ errorName })) });
  const refusal = await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext });
  expect(refusal).toMatch(/^KMSInvalidStateException: /);
  expect(refusal).toMatch(text);
});

test('ReEncrypt goes from and to such a key, and the plaintext passes nobody', async () => {
  frontend.now += 1;
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  const own = KeyMetadata!.KeyId;
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId: own, Plaintext });
  const moved = { CiphertextBlob, DestinationKeyId: keyId, DestinationEncryptionContext: EncryptionContext };
  // The fake HSM has no ReEncrypt; integration tests cover it. If the source is outside, the proxy is asked first.
  await expect(frontend.call(ReEncrypt, moved)).rejects.toThrow();
  expect(proxy.requests.filter(({ path }) => path.endsWith('crypt'))).toEqual([]);
});

test('a key of a store that is not connected is unavailable, enabled or not', async () => {
  await frontend.call(DisconnectCustomKeyStore, { CustomKeyStoreId: storeId });
  const unavailable = `KMSInvalidStateException: ${keyArn} is unavailable.`;
  expect(await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext })).toBe(unavailable);
  await frontend.call(DisableKey, { KeyId: keyId });
  const { KeyMetadata } = await frontend.call(DescribeKey, { KeyId: keyId });
  expect([KeyMetadata?.KeyState, KeyMetadata?.Enabled]).toEqual(['Unavailable', false]);
  await frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId: storeId });
  expect(await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext })).toBe(
    `DisabledException: ${keyArn} is disabled.`,
  );
  await frontend.call(EnableKey, { KeyId: keyId });
  await frontend.call(Encrypt, { KeyId: keyId, Plaintext });
});

test('such a key neither rotates nor makes key pairs, and its store no random bytes', async () => {
  const unsupported = /^UnsupportedOperationException/;
  expect(await frontend.refusal(EnableKeyRotation, { KeyId: keyId })).toMatch(unsupported);
  expect(await frontend.refusal(RotateKeyOnDemand, { KeyId: keyId })).toMatch(unsupported);
  const pair = { KeyId: keyId, KeyPairSpec: 'ECC_NIST_P256' };
  expect(await frontend.refusal(GenerateDataKeyPair, pair)).toMatch(unsupported);
  const random = { NumberOfBytes: 8, CustomKeyStoreId: storeId };
  expect(await frontend.refusal(GenerateRandom, random)).toMatch(unsupported);
});

const wanted = () => ({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId: storeId, XksKeyId: 'key-1' });

test('an external key is of one KMS key', async () => {
  expect(await frontend.refusal(CreateKey, wanted())).toMatch(/^XksKeyAlreadyInUseException/);
});

test('CreateKey refuses an external key that is not there, not enabled or of another kind', async () => {
  const refusal = () => frontend.refusal(CreateKey, { ...wanted(), XksKeyId: 'key-2' });
  expect(await refusal()).toMatch(/^XksKeyNotFoundException/);
  proxy.keys.set('key-2', Buffer.alloc(32));
  proxy.keyStatus = 'DISABLED';
  expect(await refusal()).toMatch(/^XksKeyInvalidConfigurationException.*not enabled/);
  proxy.keyStatus = 'ENABLED';
  proxy.lie = (answer) => ({ ...answer, keyUsage: ['ENCRYPT'] });
  expect(await refusal()).toMatch(/^XksKeyInvalidConfigurationException/);
  const errorName = 'AccessDeniedException';
  frontend.answerOfProxy = async () => ({ status: 403, body: Buffer.from(JSON.stringify({ errorName })) });
  expect(await refusal()).toMatch(/^CustomKeyStoreInvalidStateException.*denied access/);
  await frontend.call(DisconnectCustomKeyStore, { CustomKeyStoreId: storeId });
  expect(await refusal()).toMatch(/^CustomKeyStoreInvalidStateException.*DISCONNECTED/);
});

test('a proxy that does not answer five times is not called for a second, and then once', async () => {
  let asked = 0;
  frontend.answerOfProxy = async () => {
    asked++;
    throw new Error('unexpected');
  };
  const { XksError } = await import('./problems.ts');
  frontend.answerOfProxy = async () => {
    asked++;
    throw new XksError('timed-out');
  };
  for (let i = 0; i < 8; i++) {
    expect(await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext })).toMatch(/did not respond in time/);
  }
  expect(asked).toBe(5);
});
