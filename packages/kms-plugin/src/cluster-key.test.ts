import { KmsException } from '@keyfleet/client';
import { expect, test } from 'vitest';
import { ClusterKey, type ClusterKeyOptions } from './cluster-key.ts';
import { FakeKms, KEY_ARN } from '@keyfleet/test-support/fakes/fake-kms';

function keyOf(kms: ClusterKeyOptions['kms'], encryptionContext: Record<string, string> = {}): ClusterKey {
  return new ClusterKey({ kms, keyId: 'alias/cluster', encryptionContext });
}

const seed = Buffer.alloc(32, 7);

test('ciphertexts decrypt with only what kube-apiserver stores, even after the context was changed', async () => {
  const kms = new FakeKms();
  const encrypted = await keyOf(kms, { cluster: 'prod' }).encrypt(seed);
  expect(await keyOf(kms, { cluster: 'renamed' }).decrypt(encrypted)).toEqual(seed);
  await expect(keyOf(kms).decrypt({ ...encrypted, annotations: {} })).rejects.toThrow('InvalidCiphertextException');
});

test('the key id is the key and its material, so that a rotation changes it and an old one still decrypts', async () => {
  const kms = new FakeKms();
  const key = keyOf(kms);
  const before = await key.encrypt(seed);
  expect(before.keyId).toMatch(new RegExp(`^${KEY_ARN}#[0-9a-f]{64}$`));
  kms.rotate();
  const after = await key.encrypt(seed);
  expect(after.keyId).not.toBe(before.keyId);
  expect(await key.decrypt(before)).toEqual(seed);
});

test('a result longer than the KMS v2 API takes is refused with the sizes', async () => {
  await expect(keyOf(new FakeKms()).encrypt(Buffer.alloc(2000))).rejects.toThrow(
    /^2000 bytes become \d+, and a ciphertext of the KMS v2 API has 1023 at most$/,
  );
});

test('nothing is handed out that Keyfleet does not open to what was encrypted', async () => {
  const kms = new FakeKms();
  const Decrypt: FakeKms['Decrypt'] = async (input) => ({ ...(await kms.Decrypt(input)), Plaintext: Buffer.from('x') });
  const Encrypt: FakeKms['Encrypt'] = (input) => kms.Encrypt(input);
  await expect(keyOf({ Encrypt, Decrypt }).encrypt(seed)).rejects.toThrow('something other than what was encrypted');
});

test.each([[undefined], [Buffer.alloc(0)]])('an answer without a plaintext (%s) is an error', async (Plaintext) => {
  const kms = new FakeKms();
  const encrypted = await keyOf(kms).encrypt(seed);
  const Decrypt: FakeKms['Decrypt'] = async (input) => ({ ...(await kms.Decrypt(input)), Plaintext });
  const Encrypt: FakeKms['Encrypt'] = (input) => kms.Encrypt(input);
  await expect(keyOf({ Encrypt, Decrypt }).decrypt(encrypted)).rejects.toThrow('no plaintext');
});

test('a key id or context that is not ours is refused before Keyfleet is called', async () => {
  const kms = new FakeKms();
  const key = keyOf(kms);
  const { ciphertext, keyId, annotations } = await key.encrypt(seed);
  const asked = kms.calls;
  for (const other of ['', 'alias/cluster', `${KEY_ARN}#short`, 'x'.repeat(2000)]) {
    await expect(key.decrypt({ ciphertext, keyId: other, annotations })).rejects.toThrow(
      "is not a key id of Keyfleet's",
    );
  }
  const [name = ''] = Object.keys(annotations);
  for (const context of ['', '[', 'null', '7x', '{"a":1}']) {
    const changed = { ciphertext, keyId, annotations: { [name]: Buffer.from(context) } };
    await expect(key.decrypt(changed)).rejects.toThrow('is no encryption context');
  }
  expect(kms.calls).toBe(asked);
});

test('a refusal by Keyfleet is passed on unchanged', async () => {
  const kms = new FakeKms();
  kms.refusal = new KmsException('DisabledException', 'the key is disabled');
  await expect(keyOf(kms).encrypt(seed)).rejects.toBe(kms.refusal);
});
