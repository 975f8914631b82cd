import { createHmac, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey, GetPublicKey } from '@keyfleet/shared/api/keys';
import { GenerateMac } from '@keyfleet/shared/api/mac';
import { ListResourceTags } from '@keyfleet/shared/api/tags';
import { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { expect, test } from 'vitest';

const newFrontend = () => new FakeFrontend(new LocalHsm(), { developmentTags: true });
const tagOf = (material: Uint8Array) => ({
  TagKey: '_custom_key_material_',
  TagValue: Buffer.from(material).toString('base64'),
});
const keyOf = (material: Uint8Array, request: object = {}) => ({ Tags: [tagOf(material)], ...request });
const hmac = { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' };
const signing = { KeySpec: 'ECC_SECG_P256K1', KeyUsage: 'SIGN_VERIFY' };

test('a key of the same id and material opens what another deployment encrypted, and looks like one of its own', async () => {
  const id = { TagKey: '_custom_id_', TagValue: '3c30ff32-5c52-4d3a-acf9-4038df6ea8d6' };
  const request = { Tags: [id, tagOf(randomBytes(32))] };
  const [before, after] = [newFrontend(), newFrontend()];
  for (const frontend of [before, after]) {
    const { KeyMetadata } = await frontend.call(CreateKey, request);
    expect(KeyMetadata).toMatchObject({ KeyId: id.TagValue, Origin: 'AWS_KMS', KeyState: 'Enabled' });
    expect(KeyMetadata).not.toHaveProperty('ExpirationModel');
  }
  const Plaintext = Buffer.from('attack at dawn');
  const { CiphertextBlob } = await before.call(Encrypt, { KeyId: id.TagValue, Plaintext });
  expect((await after.call(Decrypt, { CiphertextBlob })).Plaintext).toEqual(Plaintext);
});

test('an HMAC key has the bytes of its tag, which is not a tag of the key and not in the audit record', async () => {
  const frontend = newFrontend();
  const material = randomBytes(40);
  const team = { TagKey: 'team', TagValue: 'red' };
  const { KeyMetadata } = await frontend.call(CreateKey, keyOf(material, { ...hmac, Tags: [tagOf(material), team] }));
  expect(JSON.stringify(frontend.audit)).not.toContain(material.toString('base64'));
  expect(frontend.lastAudit.requestParameters).toMatchObject({ tags: [{ tagValue: '' }, { tagValue: 'red' }] });
  const { KeyId } = KeyMetadata!;
  expect((await frontend.call(ListResourceTags, { KeyId })).Tags).toEqual([team]);
  const Message = Buffer.from('message');
  const { Mac } = await frontend.call(GenerateMac, { KeyId, Message, MacAlgorithm: 'HMAC_SHA_256' });
  expect(createHmac('sha256', material).update(Message).digest().equals(Mac!)).toBe(true);
});

test('an HMAC key may be shorter than AWS takes it, and makes the MACs of what was given', async () => {
  const frontend = newFrontend();
  // LocalStack's own example.
  const material = Buffer.from('custom test key material');
  const { KeyMetadata } = await frontend.call(CreateKey, keyOf(material, hmac));
  const Message = Buffer.from('some important message');
  const { Mac } = await frontend.call(GenerateMac, {
    KeyId: KeyMetadata!.KeyId!,
    Message,
    MacAlgorithm: 'HMAC_SHA_256',
  });
  expect(createHmac('sha256', material).update(Message).digest().equals(Mac!)).toBe(true);
});

test.each(['pkcs8', 'sec1'] as const)('a private key in %s is the key', async (type) => {
  const frontend = newFrontend();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const material = privateKey.export({ format: 'der', type });
  const { KeyMetadata } = await frontend.call(CreateKey, keyOf(material, signing));
  const { PublicKey } = await frontend.call(GetPublicKey, { KeyId: KeyMetadata!.KeyId });
  const expected = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  expect(expected.equals(PublicKey!)).toBe(true);
});

const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'der', type: 'pkcs8' });
test.each([
  ['31 bytes', keyOf(Buffer.alloc(31)), 'SYMMETRIC_DEFAULT'],
  ['no bytes', keyOf(Buffer.of()), 'SYMMETRIC_DEFAULT'],
  ['a MAC key that is too long', keyOf(Buffer.alloc(129), hmac), 'HMAC_256'],
  ['a MAC key of no bytes', keyOf(Buffer.of(), hmac), 'HMAC_256'],
  ['the key of another curve', keyOf(other, signing), 'ECC_SECG_P256K1'],
  ['no private key', keyOf(randomBytes(32), signing), 'ECC_SECG_P256K1'],
  ['no base64', { Tags: [{ ...tagOf(Buffer.of()), TagValue: '!' }] }, 'SYMMETRIC_DEFAULT'],
])('%s is refused', async (_what, request, spec) => {
  const text = `Tag _custom_key_material_ must be material of a key of ${spec}, in base64.`;
  expect(await newFrontend().refusal(CreateKey, request)).toBe(`ValidationException: ${text}`);
});

test('a key whose material is imported takes none from a tag', async () => {
  const request = keyOf(randomBytes(32), { Origin: 'EXTERNAL' });
  const text = 'Tag _custom_key_material_ is not valid for Origin EXTERNAL.';
  expect(await newFrontend().refusal(CreateKey, request)).toBe(`ValidationException: ${text}`);
});
