import { createHmac, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { execa } from 'execa';
import { expect, inject, test } from 'vitest';
import { awsEnvironment } from './environment.ts';

const { endpoint } = inject('cluster');
const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');

/** `keyfleet seed` of a file with this text. */
async function seed(text: string) {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-seed-'));
  const file = join(folder.path, 'seed.yaml');
  await writeFile(file, text);
  const env = { ...awsEnvironment(), AWS_ENDPOINT_URL: endpoint };
  const { stdout, stderr, exitCode } = await execa(process.execPath, [main, 'seed', file], { env, reject: false });
  return { stdout, stderr: stderr.replaceAll(file, 'seed.yaml'), exitCode };
}

const indented = (pem: string) => pem.trim().replaceAll('\n', '\n          ');
const pemOf = (privateKey: { export(options: object): string | Buffer }, type: 'pkcs8' | 'sec1') =>
  String(privateKey.export({ format: 'pem', type }));

test('a seed file makes its keys once, with ids, aliases, tags, policies and material, and may be cut off and repeated', async () => {
  const [first, second] = [randomUUID(), randomUUID()];
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const text = `
keys:
  - id: ${first}
    aliases: [alias/seed-${first}]
    description: seeded
    tags: { team: red }
    material:
      hex: ${randomBytes(32).toString('hex')}
  - id: ${second}
    spec: ECC_NIST_EDWARDS25519
    policy:
      Version: '2012-10-17'
      Statement: [{ Effect: Allow, Principal: { AWS: 'arn:aws:iam::000000000000:root' }, Action: 'kms:*', Resource: '*' }]
    material:
      pem: |
          ${indented(pemOf(privateKey, 'pkcs8'))}
  - aliases: [alias/made-${first}]
    spec: ML_DSA_44
`;
  const made = await seed(text);
  expect(made).toMatchObject({ exitCode: 0, stderr: '' });
  expect(made.stdout.match(/ created\b/g)).toHaveLength(3);
  const { KeyMetadata } = await kms.describeKey({ KeyId: `alias/seed-${first}` });
  expect(KeyMetadata).toMatchObject({ KeyId: first, KeyState: 'Enabled', Origin: 'EXTERNAL', Description: 'seeded' });
  expect((await kms.listResourceTags({ KeyId: first })).Tags).toEqual([{ TagKey: 'team', TagValue: 'red' }]);
  const { PublicKey } = await kms.getPublicKey({ KeyId: second });
  expect(publicKey.export({ format: 'der', type: 'spki' }).equals(PublicKey!)).toBe(true);
  expect((await kms.getKeyPolicy({ KeyId: second })).Policy).toContain('kms:*');

  await kms.deleteAlias({ AliasName: `alias/seed-${first}` });
  await kms.deleteImportedKeyMaterial({ KeyId: first });
  const again = await seed(text);
  expect(again.stdout.match(/existed/g)).toHaveLength(3);
  expect((await kms.describeKey({ KeyId: `alias/seed-${first}` })).KeyMetadata).toMatchObject({ KeyState: 'Enabled' });
});

test('seed files of local-kms are read, in both of their versions', async () => {
  const ids = Array.from({ length: 4 }, () => randomUUID());
  const pem = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'sec1');
  const [older, current] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
  const v1 = `
Keys:
  Symmetric:
    Aes:
      - Metadata:
          KeyId: ${ids[0]}
        NextKeyRotation: "2019-09-12T15:19:21+00:00"
        BackingKeys:
          - ${older}
          - ${current}
  Asymmetric:
    Ecc:
      - Metadata:
          KeyId: ${ids[1]}
          KeyUsage: SIGN_VERIFY
          Description: of local-kms
        PrivateKeyPem: |
          ${indented(pem)}
Aliases:
  - AliasName: alias/local-${ids[0]}
    TargetKeyId: ${ids[0]}
`;
  const v2 = `
Version: 2
Keys:
  - KeyId: ${ids[2]}
    Metadata: { KeySpec: HMAC_256, KeyUsage: GENERATE_VERIFY_MAC, Description: two }
    Material:
      BackingKeys:
        - ${current}
  - KeyId: ${ids[3]}
    Metadata: { KeySpec: ECC_NIST_P256, KeyUsage: KEY_AGREEMENT }
    Material:
      PrivateKeyPem: |
          ${indented(pem)}
`;
  for (const text of [v1, v2]) expect(await seed(text)).toMatchObject({ exitCode: 0, stderr: '' });
  const specs = ['SYMMETRIC_DEFAULT', 'ECC_NIST_P256', 'HMAC_256', 'ECC_NIST_P256'];
  for (const [i, KeyId] of ids.entries()) {
    const { KeyMetadata } = await kms.describeKey({ KeyId });
    expect(KeyMetadata).toMatchObject({ KeyId, KeyState: 'Enabled', KeySpec: specs[i] });
  }
  expect((await kms.describeKey({ KeyId: `alias/local-${ids[0]}` })).KeyMetadata).toMatchObject({ KeyId: ids[0] });
});

test.each([
  ['keys: [', 'Flow sequence in block collection must be sufficiently indented and end with a ] at line 1, column 8:'],
  ['key: []', 'keys: Invalid input: expected array, received undefined'],
  ['keys: [{ aliases: [alias/x], colour: red }]', 'keys[0]: Unrecognized key: "colour"'],
  ['keys: [{ description: x }]', 'keys[0]: needs an id or an alias to be found again by'],
  ['keys: [{ id: ABC }]', 'keys[0].id: must be a UUID in lower case'],
  ['keys: [{ aliases: [x] }]', 'keys[0].aliases[0]: must begin with alias/'],
  ['keys: [{ aliases: [alias/x], spec: RSA_2048 }]', 'keys[0].usage: RSA_2048 has more than one; say which'],
  [
    'keys: [{ aliases: [alias/x], material: { hex: 00ff } }]',
    'keys[0].material.hex holds 2 bytes; a key of SYMMETRIC_DEFAULT takes 32 bytes.',
  ],
  ['keys: [{ aliases: [alias/x], material: {} }]', 'keys[0].material: must have one of hex, base64, pem and file'],
])('a mistake in a seed file is one line: %s', async (text, line) => {
  const { stdout, stderr, exitCode } = await seed(text);
  expect({ stdout, stderr, exitCode }).toEqual({ stdout: '', stderr: `keyfleet: seed.yaml: ${line}`, exitCode: 1 });
});

test('a tag chooses the id of a new key, as with LocalStack and floci, and is no tag of the key', async () => {
  for (const TagKey of ['_custom_id_', 'floci:override-id']) {
    const KeyId = randomUUID();
    const Tags = [
      { TagKey, TagValue: KeyId },
      { TagKey: 'a', TagValue: 'b' },
    ];
    expect((await kms.createKey({ Tags })).KeyMetadata).toMatchObject({ KeyId });
    expect((await kms.listResourceTags({ KeyId })).Tags).toEqual([{ TagKey: 'a', TagValue: 'b' }]);
    expect(await refusalOf(kms.createKey({ Tags }))).toBe(`ValidationException: Key ${KeyId} already exists`);
    const wrong = [{ TagKey, TagValue: 'mine' }];
    expect(await refusalOf(kms.createKey({ Tags: wrong }))).toBe(
      `ValidationException: Tag ${TagKey} must be a UUID in lower case.`,
    );
  }
});

test('a tag gives a new key its material, as with LocalStack', async () => {
  const material = randomBytes(32);
  const Tags = [{ TagKey: '_custom_key_material_', TagValue: material.toString('base64') }];
  const { KeyMetadata } = await kms.createKey({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC', Tags });
  expect(KeyMetadata).toMatchObject({ KeyState: 'Enabled', Origin: 'AWS_KMS' });
  const { KeyId } = KeyMetadata!;
  const Message = Buffer.from('message');
  const { Mac } = await kms.generateMac({ KeyId, Message, MacAlgorithm: 'HMAC_SHA_256' });
  expect(createHmac('sha256', material).update(Message).digest().equals(Mac!)).toBe(true);
});
