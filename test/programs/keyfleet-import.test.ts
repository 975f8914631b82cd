import { execFileSync } from 'node:child_process';
import { createHmac, createPublicKey, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { kms } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { execa } from 'execa';
import { expect, inject, test } from 'vitest';
import { awsEnvironment } from './environment.ts';

const { endpoint } = inject('cluster');
const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');

/** `keyfleet import - --key KEY`, with AWS's own environment for everything else. */
async function keyfleetImport(input: Uint8Array, KeyId: string, ...options: string[]) {
  const args = [main, 'import', '-', '--key', KeyId, ...options];
  const env = { ...awsEnvironment(), AWS_ENDPOINT_URL: endpoint };
  const { stdout, stderr, exitCode } = await execa(process.execPath, args, { input, env, reject: false });
  return { stdout, stderr, exitCode };
}

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
const external = (KeySpec: string, KeyUsage: string) =>
  newKey({ Origin: 'EXTERNAL', KeySpec: KeySpec as 'RSA_2048', KeyUsage: KeyUsage as 'SIGN_VERIFY' });

test.each([
  ['RSA_2048', ['genrsa', '-traditional', '2048']],
  ['ECC_NIST_P256', ['ecparam', '-genkey', '-name', 'prime256v1']],
  ['ECC_SECG_P256K1', ['ecparam', '-genkey', '-name', 'secp256k1', '-outform', 'DER', '-noout']],
  ['ECC_NIST_EDWARDS25519', ['genpkey', '-algorithm', 'ed25519']],
])('keyfleet import takes a key of %s as `openssl %j` writes it', async (spec, command) => {
  const { KeyId, Arn } = await external(spec, 'SIGN_VERIFY');
  const written = openssl(...command);
  expect(await keyfleetImport(written, KeyId)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining(`${Arn} has its key material`) as string,
  });
  const given = written.toString('latin1').includes('BEGIN')
    ? createPublicKey(written.toString('latin1'))
    : createPublicKey({ key: written, format: 'der', type: 'sec1' as 'spki' });
  const { PublicKey } = await kms.getPublicKey({ KeyId });
  expect(given.export({ format: 'der', type: 'spki' }).equals(PublicKey!)).toBe(true);
});

test('keyfleet import takes bytes, raw or as text, and a date', async () => {
  const material = randomBytes(40);
  const { KeyId } = await external('HMAC_256', 'GENERATE_VERIFY_MAC');
  expect(await keyfleetImport(material, KeyId)).toMatchObject({ exitCode: 0 });
  const ValidTo = new Date(Math.ceil(Date.now() / 1000 + 600) * 1000);
  const hex = Buffer.from(`${material.toString('hex')}\n`);
  const dated = await keyfleetImport(hex, KeyId, '--encoding', 'hex', '--valid-to', ValidTo.toISOString());
  expect(dated).toMatchObject({ exitCode: 0 });
  expect((await kms.describeKey({ KeyId })).KeyMetadata).toMatchObject({ ValidTo });
  const Message = Buffer.from('x');
  const { Mac } = await kms.generateMac({ KeyId, Message, MacAlgorithm: 'HMAC_SHA_256' });
  expect(createHmac('sha256', material).update(Message).digest().equals(Mac!)).toBe(true);
});

test('keyfleet import brings the next material of a key, and the same again by its id', async () => {
  const { KeyId, Arn } = await external('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
  const [first, next] = [randomBytes(32), randomBytes(32)];
  expect(await keyfleetImport(first, KeyId, '--description', 'safe A')).toMatchObject({ exitCode: 0 });
  const told = await keyfleetImport(next, KeyId, '--new', '--json');
  const { keyMaterialId } = JSON.parse(told.stdout) as { keyMaterialId: string };
  await kms.rotateKeyOnDemand({ KeyId });
  const { KeyMetadata } = await kms.describeKey({ KeyId });
  expect(KeyMetadata).toMatchObject({ Arn, CurrentKeyMaterialId: keyMaterialId });
  expect(await keyfleetImport(next, KeyId, '--material-id', keyMaterialId)).toMatchObject({ exitCode: 0 });
  expect(await keyfleetImport(first, KeyId, '--material-id', keyMaterialId)).toMatchObject({
    exitCode: 1,
    stderr: `keyfleet: importing stdin into key ${KeyId}: IncorrectKeyMaterialException`,
  });
  const { Rotations } = await kms.listKeyRotations({ KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
  expect(Rotations!.map(({ KeyMaterialDescription }) => KeyMaterialDescription)).toEqual(['safe A', undefined]);
});

test('keyfleet import says in one line what is wrong with material, key or option', async () => {
  const { KeyId } = await external('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
  const pair = await external('ECC_NIST_P256', 'SIGN_VERIFY');
  const own = await newKey({});
  const encrypted = openssl('genpkey', '-algorithm', 'ed25519', '-aes256', '-pass', 'pass:x');
  const [bytes, other] = [randomBytes(32), openssl('genpkey', '-algorithm', 'ed25519')];
  const cases: [Uint8Array, string, string[], string][] = [
    [randomBytes(31), KeyId, [], 'stdin holds 31 bytes; a key of SYMMETRIC_DEFAULT takes 32 bytes.'],
    [
      Buffer.from(`${bytes.toString('hex')}\n`),
      KeyId,
      [],
      'stdin holds 65 bytes; a key of SYMMETRIC_DEFAULT takes 32 bytes. If it is text, give --encoding hex.',
    ],
    [Buffer.from('zz'), KeyId, ['--encoding', 'hex'], 'stdin is not hex.'],
    [encrypted, pair.KeyId, [], 'stdin is encrypted. Decrypt it first: openssl pkey -in stdin -out plain.pem'],
    [bytes, pair.KeyId, [], 'stdin is not a private key in PEM or DER that OpenSSL can read.'],
    [other, pair.KeyId, [], `importing stdin into key ${pair.KeyId}: IncorrectKeyMaterialException`],
    [
      bytes,
      own.KeyId,
      [],
      `key ${own.KeyId} has origin AWS_KMS. Only a key that was made with origin EXTERNAL takes material.`,
    ],
    [bytes, KeyId, ['--encoding', 'rot13'], '--encoding must be one of raw, hex, base64.'],
    [bytes, KeyId, ['--valid-to', 'soon'], '--valid-to must be a time such as 2027-01-31T12:00:00Z.'],
    [bytes, KeyId, ['--endpoint', 'http://127.0.0.1:1'], `key ${KeyId}: cannot reach the API (ECONNREFUSED).`],
  ];
  for (const [input, key, options, line] of cases) {
    const { stdout, stderr, exitCode } = await keyfleetImport(input, key, ...options);
    expect({ stdout, stderr, failed: exitCode !== 0 }).toEqual({
      stdout: '',
      stderr: `keyfleet: ${line}`,
      failed: true,
    });
  }
});
