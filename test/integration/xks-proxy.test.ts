import {
  account,
  authority,
  ca,
  client,
  credential,
  keysOf,
  kms,
  proxyPort,
  server,
  startExternalKeyStores,
  stopExternalKeyStores,
  stranger,
} from '@keyfleet/test-support/external-key-stores';
import { hash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { amzDateOf, authorizationOf, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4';
import { type Certificate } from '@keyfleet/test-support/certificates';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

beforeAll(startExternalKeyStores, 120_000);
afterAll(stopExternalKeyStores);

interface Reply {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

const metadata = {
  awsPrincipalArn: 'arn:aws:iam::123456789012:user/Alice',
  kmsKeyArn: 'arn:aws:kms:us-east-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
  kmsOperation: 'Encrypt',
  kmsRequestId: '4112f4d6-db54-4af4-ae30-c55a22a8dfae',
};

interface Ask {
  readonly method?: string;
  readonly signer?: typeof credential;
  readonly amzDate?: string;
  readonly certificate?: Certificate | 'none';
}

/** As AWS KMS of us-west-2 would. */
async function ask(path: string, body: object, how: Ask = {}): Promise<Reply> {
  const { method = 'POST', signer = credential, amzDate = amzDateOf(Date.now()), certificate = client } = how;
  const text = Buffer.from(JSON.stringify({ requestMetadata: metadata, ...body }));
  const scope = { date: amzDate.slice(0, 8), region: 'us-west-2', service: 'kms-xks-proxy' };
  const signed = { host: 'keyfleet.test', 'x-amz-date': amzDate };
  const signable = {
    method,
    path,
    query: '',
    headers: new Map(Object.entries(signed)),
    payloadHash: hash('sha256', text, 'hex'),
  };
  const signingKey = deriveSigningKey(newSigningSecret(signer.RawSecretAccessKey), scope);
  const authorization = authorizationOf(signable, amzDate, { accessKeyId: signer.AccessKeyId, scope, signingKey });
  const headers = { ...signed, authorization, 'content-type': 'application/json', 'content-length': text.length };
  const tls = { ca, servername: 'keyfleet.test', ...(certificate !== 'none' && keysOf(certificate)) };
  const sent = request({ host: '127.0.0.1', port: proxyPort, path, method, headers, agent: false, ...tls });
  sent.end(text);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const json = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  return { status: response.statusCode!, json };
}

describe('Keyfleet as the proxy', () => {
  const base = '/a/kms/xks/v1';
  let externalKeyId: string;
  beforeAll(async () => {
    externalKeyId = (await kms.createKey({ Description: 'behind the proxy' })).KeyMetadata!.KeyId!;
  });
  const on = (api: string, keyId = externalKeyId) => `${base}/keys/${keyId}/${api}`;
  const aad = Buffer.from('project=nile,department=marketing').toString('base64');
  const plaintext = Buffer.from('Hello World!').toString('base64');
  const encrypt = {
    plaintext,
    additionalAuthenticatedData: aad,
    encryptionAlgorithm: 'AES_GCM',
    ciphertextDataIntegrityValueAlgorithm: 'SHA_256',
  };

  test('is healthy, and describes a key', async () => {
    const health = await ask(`${base}/health`, {});
    expect(health).toMatchObject({ status: 200, json: { ekmFleetDetails: [{ healthStatus: 'ACTIVE' }] } });
    const keyUsage = ['ENCRYPT', 'DECRYPT'];
    expect(await ask(on('metadata'), {})).toEqual({
      status: 200,
      json: { keySpec: 'AES_256', keyUsage, keyStatus: 'ENABLED' },
    });
  });

  test("encrypts and decrypts the specification's own requests", async () => {
    const { status, json } = await ask(on('encrypt'), encrypt);
    expect(status).toBe(200);
    const parts = ['ciphertextMetadata', 'initializationVector', 'ciphertext', 'authenticationTag'].map((name) =>
      Buffer.from(json[name] as string, 'base64'),
    );
    expect(parts.map(({ length }) => length)).toEqual([20, 12, 12, 16]);
    const whole = Buffer.concat([Buffer.from(aad, 'base64'), ...parts]);
    expect(json['ciphertextDataIntegrityValue']).toBe(hash('sha256', whole, 'base64'));
    const { ciphertextDataIntegrityValue: _, ...made } = json;
    const decrypt = { ...made, additionalAuthenticatedData: aad, encryptionAlgorithm: 'AES_GCM' };
    expect(await ask(on('decrypt'), decrypt)).toEqual({ status: 200, json: { plaintext } });
    const wrong = { status: 400, json: { errorName: 'InvalidCiphertextException' } };
    const changes = [
      { additionalAuthenticatedData: plaintext },
      { additionalAuthenticatedData: undefined },
      { authenticationTag: Buffer.alloc(16).toString('base64') },
      { ciphertextMetadata: Buffer.alloc(20).toString('base64') },
      { ciphertextMetadata: undefined },
    ];
    for (const change of changes) expect(await ask(on('decrypt'), { ...decrypt, ...change })).toEqual(wrong);
  });

  test('takes as much as the specification asks', async () => {
    const largest = {
      plaintext: randomBytes(4300).toString('base64'),
      additionalAuthenticatedData: randomBytes(8192).toString('base64'),
    };
    const { json } = await ask(on('encrypt'), { ...encrypt, ...largest });
    const decrypt = { ...json, ...largest, plaintext: undefined, encryptionAlgorithm: 'AES_GCM' };
    expect((await ask(on('decrypt'), decrypt)).json['plaintext']).toBe(largest.plaintext);
    const more = { plaintext: randomBytes(4301).toString('base64') };
    expect(await ask(on('encrypt'), { ...encrypt, ...more })).toMatchObject({
      json: { errorName: 'ValidationException' },
    });
  });

  const wrongSecret = { ...credential, RawSecretAccessKey: 'x'.repeat(43) };
  test.each([
    ['a wrong secret', { signer: wrongSecret }],
    ['an unknown access key', { signer: { ...credential, AccessKeyId: 'B'.repeat(20) } }],
    ['a signature of six minutes ago', { amzDate: amzDateOf(Date.now() - 360_000) }],
  ])('refuses %s', async (_what, how) => {
    const refused = { status: 401, json: { errorName: 'AuthenticationFailedException' } };
    expect(await ask(on('encrypt'), encrypt, how)).toEqual(refused);
  });

  test('serves only its paths, its methods and whoever a policy lets', async () => {
    const name = async (path: string, how?: Ask) => (await ask(path, encrypt, how)).json['errorName'];
    expect(await name('/c/kms/xks/v1/health')).toBe('InvalidUriPathException');
    expect(await name(`${base}/keys/x/wrap`)).toBe('InvalidUriPathException');
    expect((await ask(on('encrypt'), encrypt, { method: 'GET' })).status).toBe(405);
    expect(await name(on('encrypt', '1234abcd-12ab-34cd-56ef-1234567890ab'))).toBe('KeyNotFoundException');
    expect(await name(on('encrypt').replace('/a/', '/b/'))).toBe('AuthenticationFailedException');
    const signing = await kms.createKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    expect(await name(on('encrypt', signing.KeyMetadata!.KeyId))).toBe('InvalidKeyUsageException');
    const { KeyId } = (await kms.createKey({})).KeyMetadata!;
    const { Policy } = await kms.getKeyPolicy({ KeyId });
    const policy = JSON.parse(Policy!) as { Statement: object[] };
    const denied = {
      Effect: 'Deny',
      Principal: { AWS: `arn:aws:iam::${account}:user/xks` },
      Action: 'kms:Encrypt',
      Resource: '*',
    };
    await kms.putKeyPolicy({ KeyId, Policy: JSON.stringify({ ...policy, Statement: [...policy.Statement, denied] }) });
    expect(await name(on('encrypt', KeyId))).toBe('AccessDeniedException');
    await kms.disableKey({ KeyId: externalKeyId });
    expect(await name(on('encrypt'))).toBe('InvalidStateException');
    await kms.enableKey({ KeyId: externalKeyId });
  });

  test('shows a new certificate as soon as its files have one', async () => {
    const shown = async (): Promise<string> => {
      const socket = connect({
        host: '127.0.0.1',
        port: proxyPort,
        servername: 'keyfleet.test',
        ca,
        ...keysOf(client),
      });
      await once(socket, 'secureConnect');
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const inFile = (): string => new X509Certificate(readFileSync(server.certificateFile)).fingerprint256;
    expect(await shown()).toBe(inFile());
    await authority.issue('keyfleet.test');
    await expect.poll(shown, { timeout: 15_000 }).toBe(inFile());
    expect((await ask(`${base}/health`, {})).status).toBe(200);
  });

  test('cuts off a client without the certificate that it wants', async () => {
    await expect(ask(`${base}/health`, {}, { certificate: 'none' })).rejects.toThrow();
    await expect(ask(`${base}/health`, {}, { certificate: stranger })).rejects.toThrow();
  });
});
