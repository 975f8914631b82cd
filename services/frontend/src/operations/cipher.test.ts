import { Decrypt, Encrypt, ReEncrypt } from '@keyfleet/shared/api/cipher';
import { GenerateDataKey } from '@keyfleet/shared/api/data-keys';
import { CreateKey } from '@keyfleet/shared/api/keys';
import { accountId, FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { HsmRefusedError, HsmUnavailableError } from '../hsm/commands.ts';
import { StoreUnavailableError } from '../store/store.ts';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import {
  arn,
  encrypt,
  frontend,
  keyId,
  newFrontend,
  newKey,
  setState,
} from '@keyfleet/test-support/fakes/symmetric-key';
import { beforeEach, expect, test } from 'vitest';

beforeEach(newFrontend);

test('a ciphertext decrypts without naming the key', async () => {
  const EncryptionContext = { purpose: 'test' };
  const encrypted = await encrypt({ EncryptionContext });
  expect(encrypted).toMatchObject({ KeyId: arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
  const decrypted = await frontend.call(Decrypt, { CiphertextBlob: encrypted.CiphertextBlob, EncryptionContext });
  expect(decrypted).toEqual({
    KeyId: arn,
    Plaintext: Buffer.from('attack at dawn'),
    EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

test('the audit record names key, algorithm and context, and never what was encrypted', async () => {
  await encrypt({ EncryptionContext: { purpose: 'test' } });
  expect(frontend.lastAudit).toMatchObject({
    eventName: 'Encrypt',
    readOnly: true,
    requestParameters: {
      keyId,
      encryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      encryptionContext: { purpose: 'test' },
    },
    responseElements: null,
    resources: [{ accountId, type: 'AWS::KMS::Key', ARN: arn }],
  });
  expect(frontend.lastAudit.requestParameters).not.toHaveProperty('plaintext');
});

test('whatever does not open gives one error without a message', async () => {
  const { CiphertextBlob } = await encrypt({ EncryptionContext: { a: '1' } });
  const good = Buffer.from(CiphertextBlob ?? []);
  const flipped = Buffer.from(good);
  flipped[flipped.length - 1]! ^= 1;
  const otherMaterial = Buffer.from(good);
  otherMaterial[20]! ^= 1;
  const appended = Buffer.concat([good, Buffer.of(0)]);
  const EncryptionContext = { a: '1' };
  for (const blob of [flipped, otherMaterial, appended, good.subarray(0, -1), Buffer.of(1, 2, 3)]) {
    expect(await frontend.refusal(Decrypt, { CiphertextBlob: blob, EncryptionContext })).toBe(
      'InvalidCiphertextException',
    );
  }
  expect(await frontend.refusal(Decrypt, { CiphertextBlob: good, EncryptionContext: { a: '2' } })).toBe(
    'InvalidCiphertextException',
  );
  expect(await frontend.refusal(Decrypt, { CiphertextBlob: good })).toBe('InvalidCiphertextException');
  expect(frontend.lastAudit).toMatchObject({ errorCode: 'InvalidCiphertextException' });
  expect(frontend.lastAudit).not.toHaveProperty('errorMessage');
});

test('a key of another usage is refused by name', async () => {
  const mac = await newKey({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
  expect(await frontend.refusal(Encrypt, { KeyId: mac.keyId, Plaintext: Buffer.of(1) })).toBe(
    `InvalidKeyUsageException: ${mac.arn} key usage is GENERATE_VERIFY_MAC which is not valid for Encrypt.`,
  );
  const { CiphertextBlob } = await encrypt();
  expect(await frontend.refusal(ReEncrypt, { CiphertextBlob, DestinationKeyId: mac.keyId })).toBe(
    `InvalidKeyUsageException: ${mac.arn} key usage is GENERATE_VERIFY_MAC which is not valid for ReEncrypt.`,
  );
});

test('an RSA key encrypts only with its own algorithms, what fits, and without a context', async () => {
  const rsa = await newKey({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  const request = (overrides: object) => ({
    KeyId: rsa.keyId,
    Plaintext: Buffer.alloc(190),
    EncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
    ...overrides,
  });
  const { CiphertextBlob } = await frontend.call(Encrypt, request({}));
  const decrypted = await frontend.call(Decrypt, {
    KeyId: rsa.keyId,
    CiphertextBlob,
    EncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
  });
  expect(decrypted).toEqual({
    KeyId: rsa.arn,
    Plaintext: Buffer.alloc(190),
    EncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
  });
  expect(await frontend.refusal(Encrypt, request({ EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }))).toBe(
    'InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.',
  );
  expect(
    await frontend.refusal(Encrypt, request({ EncryptionAlgorithm: 'RSAES_OAEP_SHA_1', Plaintext: Buffer.alloc(215) })),
  ).toBe(
    'ValidationException: Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data larger than 214 bytes.',
  );
  expect(await frontend.refusal(Encrypt, request({ EncryptionContext: { a: '1' } }))).toMatch(/^ValidationException/);
});

test.each([
  ['Disabled', 'DisabledException: ARN is disabled.'],
  ['PendingDeletion', 'KMSInvalidStateException: ARN is pending deletion.'],
] as const)('a key that is %s is not used', async (state, expected) => {
  const { CiphertextBlob } = await encrypt();
  await setState(state);
  const text = expected.replace('ARN', arn);
  expect(await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext: Buffer.of(1) })).toBe(text);
  expect(await frontend.refusal(Decrypt, { CiphertextBlob })).toBe(text);
  expect(await frontend.refusal(GenerateDataKey, { KeyId: keyId, KeySpec: 'AES_256' })).toBe(text);
});

test('a data key comes in clear and encrypted, of the length that was asked for', async () => {
  for (const [size, length] of [
    [{ KeySpec: 'AES_256' }, 32],
    [{ KeySpec: 'AES_128' }, 16],
    [{ NumberOfBytes: 1024 }, 1024],
  ] as const) {
    const made = await frontend.call(GenerateDataKey, { KeyId: keyId, ...size });
    expect(made.Plaintext).toHaveLength(length);
    expect(made).toMatchObject({ KeyId: arn, KeyMaterialId: expect.any(String) });
    const { Plaintext } = await frontend.call(Decrypt, { CiphertextBlob: made.CiphertextBlob });
    expect(Plaintext).toEqual(made.Plaintext);
  }
  expect(frontend.audit.find(({ eventName }) => eventName === 'GenerateDataKey')).toMatchObject({
    additionalEventData: { keyMaterialId: expect.any(String) },
    requestParameters: { keyId, keySpec: 'AES_256' },
    responseElements: null,
  });
});

test.each([{}, { KeySpec: 'AES_256', NumberOfBytes: 32 }])(
  'a data key that names no length, or two, is refused: %j',
  async (size) => {
    expect(await frontend.refusal(GenerateDataKey, { KeyId: keyId, ...size })).toBe(
      'ValidationException: Please specify either number of bytes or key spec.',
    );
  },
);

test('a dry run says that it would have succeeded, and does nothing', async () => {
  const expected = 'DryRunOperationException: The request would have succeeded, but the DryRun option is set.';
  const { CiphertextBlob } = await encrypt();
  const before = frontend.hsm.executed.length;
  expect(await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext: Buffer.of(1), DryRun: true })).toBe(expected);
  expect(await frontend.refusal(GenerateDataKey, { KeyId: keyId, KeySpec: 'AES_256', DryRun: true })).toBe(expected);
  expect(frontend.hsm.executed).toHaveLength(before);
  expect(await frontend.refusal(Decrypt, { CiphertextBlob, DryRun: true })).toBe(expected);
});

class KeepingHsm extends FakeHsm {
  readonly plaintexts: Uint8Array[] = [];

  override async execute<N extends CommandName>(name: N, input: InputOf<N>): Promise<OutputOf<N>> {
    const output = await super.execute(name, input);
    if ('plaintext' in output && output.plaintext) this.plaintexts.push(output.plaintext);
    return output;
  }
}

test('a plaintext is overwritten after an answer, and after a dry run', async () => {
  const hsm = new KeepingHsm();
  const own = new FakeFrontend(hsm);
  const { KeyMetadata } = await own.call(CreateKey, {});
  const { CiphertextBlob = Buffer.of() } = await own.call(Encrypt, {
    KeyId: KeyMetadata!.KeyId!,
    Plaintext: Buffer.from('secret'),
  });
  await own.call(Decrypt, { CiphertextBlob: Buffer.from(CiphertextBlob) });
  await own.refusal(Decrypt, { CiphertextBlob: Buffer.from(CiphertextBlob), DryRun: true });
  expect(hsm.plaintexts).toHaveLength(2);
  for (const plaintext of hsm.plaintexts) expect(plaintext.every((byte) => byte === 0)).toBe(true);
});

test('a plaintext meant for an enclave alone is never given in clear', async () => {
  const { CiphertextBlob } = await encrypt();
  const Recipient = { AttestationDocument: Buffer.of(1) };
  expect(await frontend.refusal(Decrypt, { CiphertextBlob, Recipient })).toMatch(/^ValidationException/);
  expect(await frontend.refusal(GenerateDataKey, { KeyId: keyId, KeySpec: 'AES_256', Recipient })).toMatch(
    /^ValidationException/,
  );
});

test.each([
  [new HsmUnavailableError('overloaded'), /^ThrottlingException: You have exceeded the rate/],
  [new HsmUnavailableError('timed-out'), /^DependencyTimeoutException/],
  [new HsmUnavailableError('too-large'), /^ValidationException: The encryption context is too large/],
  [new StoreUnavailableError('redis is down'), /^DependencyTimeoutException/],
  [new HsmRefusedError('internal'), /^KMSInternalException$/],
  [new Error('secret detail'), /^KMSInternalException$/],
])('a fault behind the service shows no detail: %s', async (failure, expected) => {
  frontend.hsm.failure = failure;
  expect(await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext: Buffer.of(1) })).toMatch(expected);
  expect(frontend.faults).toEqual(expected.source.includes('Internal') ? [failure] : []);
  expect(JSON.stringify(frontend.lastAudit)).not.toContain('secret detail');
});
