import { spawnSync } from 'node:child_process';
import { hash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server, request } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { CreateUserCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { KMS } from '@aws-sdk/client-kms';
import { amzDateOf, authorizationOf, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4';
import { type Certificate, TestAuthority } from '@keyfleet/test-support/certificates';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { FakeXksProxy } from '@keyfleet/test-support/fakes/xks-proxy';
import { awsEnvironmentOf, runRecipe, shellBlocksOf } from '@keyfleet/test-support/recipe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/**
 * External key stores over real TLS: Keyfleet as the client of a proxy that shares no code with it, Keyfleet as the
 * proxy for a client that does not either, and Keyfleet against Keyfleet.
 */
const resources = new AsyncDisposableStack();
const credential = { AccessKeyId: 'A2B3C4D5E6F7A2B3C4D5', RawSecretAccessKey: randomBytes(32).toString('base64') };
const nextCredential = { AccessKeyId: 'Z2B3C4D5E6F7A2B3C4D5', RawSecretAccessKey: randomBytes(32).toString('base64') };
const account = '111122223333';
const fake = new FakeXksProxy();
/** The certificate that the fake was shown last, by its SHA-256. */
let shownToFake: string | undefined;
/** Which Keyfleet shows the fake. */
let shown: Certificate;
let others: TestAuthority;
/** Whom Keyfleet trusts as later.test: not the others, at first. */
let laterCaFile: string;
/** How long the fake takes. */
let delayMs = 0;
let cluster: TestCluster;
let kms: KMS;
let ca: Buffer;
let client: Certificate;
/** Of the same roots, and another name. */
let stranger: Certificate;
let proxyPort: number;
let authority: TestAuthority;
/** Which Keyfleet shows as a proxy. */
let server: Certificate;

beforeAll(async () => {
  const directory = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-xks-'))).path;
  authority = await TestAuthority.make(directory, 'roots');
  others = await TestAuthority.make(directory, 'others');
  ca = readFileSync(authority.caFile);
  shown = await authority.issue('shown.test');
  laterCaFile = join(directory, 'later-ca.pem');
  copyFileSync(authority.caFile, laterCaFile);
  client = await authority.issue('cks.kms.us-east-1.amazonaws.com');
  stranger = await authority.issue('stranger.test');
  server = await authority.issue('keyfleet.test');
  const ports = {
    fake: await listen(newFake(await authority.issue('fake.test'))),
    wrong: await listen(newFake(await others.issue('wrong.test'))),
    later: await listen(newFake(await others.issue('later.test'))),
    misnamed: await listen(newFake(await authority.issue('somebody-else.test'))),
    hanging: await listenHanging(),
  };
  proxyPort = await freePort();
  cluster = resources.use(await startTestCluster({ workers: 2, accountId: account }));
  const secretFiles = [credential, nextCredential].map(({ AccessKeyId: accessKeyId, RawSecretAccessKey }) => {
    const secretFile = join(directory, accessKeyId);
    writeFileSync(secretFile, RawSecretAccessKey, { mode: 0o600 });
    return { accessKeyId, secretFile };
  });
  const proxy = (host: string, port: number, more: object = {}) => ({
    host,
    address: `127.0.0.1:${port}`,
    caFile: authority.caFile,
    ...more,
  });
  await reconfigure({
    externalKeyStores: {
      proxies: [
        proxy('fake.test', ports.fake, { clientCertificate: shown }),
        proxy('later.test', ports.later, { caFile: laterCaFile }),
        proxy('wrong.test', ports.wrong),
        proxy('misnamed.test', ports.misnamed),
        proxy('hanging.test', ports.hanging),
        proxy('away.test', await freePort()),
        proxy('keyfleet.test', proxyPort, { clientCertificate: client }),
      ],
    },
    xksProxy: {
      listen: `127.0.0.1:${proxyPort}`,
      ...server,
      client: { caFile: authority.caFile, commonName: 'cks.kms.us-east-1.amazonaws.com' },
      paths: [
        { prefix: '/a', accountId: account, region: 'us-east-1', userName: 'xks', credentials: secretFiles },
        { prefix: '/b', accountId: account, region: 'us-east-1', userName: 'nobody', credentials: secretFiles },
      ],
    },
  });
  kms = newKms();
  await makeUser();
}, 120_000);
afterAll(() => resources.disposeAsync());

function newKms(): KMS {
  const { endpoint, credentials } = cluster;
  return resources.adopt(new KMS({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1 }), (it) => it.destroy());
}

async function makeUser(): Promise<void> {
  const { endpoint, credentials } = cluster;
  const iam = new IAMClient({ endpoint, credentials, region: 'us-east-1' });
  resources.defer(() => iam.destroy());
  await iam.send(new CreateUserCommand({ UserName: 'xks' }));
  const Statement = { Effect: 'Allow', Action: ['kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey'], Resource: '*' };
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
  await iam.send(new PutUserPolicyCommand({ UserName: 'xks', PolicyName: 'use', PolicyDocument }));
}

async function reconfigure(members: object): Promise<void> {
  const file = cluster.home.in('config', 'frontend.json');
  await cluster.kill('frontend');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...members }));
  await cluster.restart('frontend');
}

function newFake(certificate: Certificate): Server {
  const options = { ...keysOf(certificate), requestCert: true, rejectUnauthorized: false };
  return createServer(options, (incoming, response) => {
    shownToFake = (incoming.socket as TLSSocket).getPeerCertificate().fingerprint256;
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
    incoming.on('end', () => {
      const { status, body } = fake.answer({ path: incoming.url ?? '', body: Buffer.concat(chunks) });
      setTimeout(() => response.writeHead(status).end(body), delayMs);
    });
  });
}

async function listen(server: Pick<Server, 'listen' | 'address' | 'close'> & NodeJS.EventEmitter): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => void server.close());
  if ('closeAllConnections' in server) resources.defer(() => (server as Server).closeAllConnections());
  return (server.address() as { port: number }).port;
}

/** Takes connections and never says a word. */
function listenHanging(): Promise<number> {
  const server = createTcpServer((socket) => {
    resources.defer(() => void socket.destroy());
    socket.on('error', () => {});
  });
  return listen(server as never);
}

async function freePort(): Promise<number> {
  await using server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

/** The name of what a call is refused with, and what is said. */
const refusalOf = (answer: Promise<unknown>): Promise<string> => answer.then(() => 'it succeeded', String);

let made = 0;
const storeAt = (host: string, prefix = `/s${made++}`, overrides: object = {}) =>
  ({
    CustomKeyStoreName: `${host}${prefix}`,
    CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
    XksProxyUriEndpoint: `https://${host}`,
    XksProxyUriPath: `${prefix}/kms/xks/v1`,
    XksProxyAuthenticationCredential: credential,
    XksProxyConnectivity: 'PUBLIC_ENDPOINT',
    ...overrides,
  }) as const;

async function connected(host: string, prefix?: string): Promise<string> {
  // The first handshakes of a busy machine take longer than a proxy may.
  const CustomKeyStoreId = await eventually(
    async () => (await kms.createCustomKeyStore(storeAt(host, prefix))).CustomKeyStoreId!,
  );
  await kms.connectCustomKeyStore({ CustomKeyStoreId });
  return CustomKeyStoreId;
}

async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === 5 || !/did not respond in time/.test(String(error))) throw error;
    }
  }
}

async function keyIn(CustomKeyStoreId: string, XksKeyId: string): Promise<string> {
  const { KeyMetadata } = await kms.createKey({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId });
  return KeyMetadata!.KeyId!;
}

const Plaintext = Buffer.from('a secret of the customer');
const EncryptionContext = { purpose: 'test' };

describe('Keyfleet as the client of a proxy', () => {
  let storeId: string;
  let KeyId: string;
  beforeAll(async () => {
    storeId = await connected('fake.test');
    KeyId = await keyIn(storeId, 'key-1');
  });

  test('encrypts, decrypts, makes data keys and re-encrypts, from and to keys of its own', async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext, EncryptionContext });
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob, EncryptionContext })).Plaintext!)).toEqual(Plaintext);
    const dataKey = await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' });
    expect((await kms.decrypt({ CiphertextBlob: dataKey.CiphertextBlob })).Plaintext).toEqual(dataKey.Plaintext);
    const own = (await kms.createKey({})).KeyMetadata!.KeyId!;
    const moved = { CiphertextBlob, SourceEncryptionContext: EncryptionContext, DestinationKeyId: own };
    const there = await kms.reEncrypt(moved);
    const back = await kms.reEncrypt({ CiphertextBlob: there.CiphertextBlob, DestinationKeyId: KeyId });
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob: back.CiphertextBlob })).Plaintext!)).toEqual(Plaintext);
    const bodies = JSON.stringify(fake.requests);
    for (const secret of [Plaintext, Buffer.from(dataKey.Plaintext!)])
      expect(bodies).not.toContain(secret.toString('base64'));
  });

  test('loses nothing of the largest plaintext', async () => {
    const largest = randomBytes(4096);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: largest });
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!)).toEqual(largest);
  });

  test.each([
    ['wrong.test', 'whose certificate is of others', /^XksProxyUriUnreachableException: .*TLS connection/],
    ['misnamed.test', 'whose certificate has another name', /^XksProxyUriUnreachableException: .*TLS connection/],
    ['hanging.test', 'that hangs', /^XksProxyUriUnreachableException: .*did not respond in time/],
    ['away.test', 'that is not there', /^XksProxyUriUnreachableException: .*cannot communicate/],
    ['unlisted.test', 'that operators do not list', /^XksProxyUriUnreachableException: .*cannot communicate/],
  ])('%s, a proxy %s, is refused', async (host, _what, refusal) => {
    expect(await refusalOf(kms.createCustomKeyStore(storeAt(host)))).toMatch(refusal);
  });

  test('shows the certificate, and trusts the authorities, that its files have now', async () => {
    const inFile = (): string => new X509Certificate(readFileSync(shown.certificateFile)).fingerprint256;
    const use = () => refusalOf(kms.encrypt({ KeyId, Plaintext })).then(() => shownToFake);
    const create = (): Promise<string> => refusalOf(kms.createCustomKeyStore(storeAt('later.test')));
    expect(await use()).toBe(inFile());
    expect(await create()).toMatch(/TLS connection/);
    await authority.issue('shown.test');
    copyFileSync(others.caFile, laterCaFile);
    await expect.poll(use, { timeout: 15_000 }).toBe(inFile());
    await expect.poll(create, { timeout: 15_000 }).toBe('it succeeded');
  });

  test('a late answer is none, and the p99 of other keys stays while a store hangs', async () => {
    const own = (await kms.createKey({})).KeyMetadata!.KeyId!;
    const measure = async (): Promise<number> => {
      const took: number[] = [];
      for (let i = 0; i < 400; i++) {
        const startedAt = performance.now();
        await kms.encrypt({ KeyId: own, Plaintext });
        took.push(performance.now() - startedAt);
      }
      return took.toSorted((a, b) => a - b)[Math.floor(0.99 * took.length)]!;
    };
    // The same callers in both: what is compared is a store that answers with one that hangs.
    const measureBeside = async (answers: Set<string>): Promise<number> => {
      let isOver = false;
      const beside = Array.from({ length: 8 }, async () => {
        while (!isOver) answers.add(await refusalOf(kms.encrypt({ KeyId, Plaintext })));
      });
      const p99 = await measure();
      isOver = true;
      await Promise.all(beside);
      return p99;
    };
    const [wellAnswers, hungAnswers] = [new Set<string>(), new Set<string>()];
    const calm = await measureBeside(wellAnswers);
    delayMs = 2_000;
    const hung = await measureBeside(hungAnswers);
    delayMs = 0;
    console.log(`p99 of other keys: ${calm.toFixed(1)} ms, and ${hung.toFixed(1)} ms while a store hangs`);
    expect(wellAnswers).toContain('it succeeded');
    const late = expect.stringMatching(/^KMSInvalidStateException: .*did not respond in time/);
    expect([...hungAnswers]).toContainEqual(late);
    // What waited for the store would take 250 ms and more.
    expect(hung).toBeLessThan(Math.max(2 * calm, 200));
    await expect
      .poll(() => kms.encrypt({ KeyId, Plaintext }).then(() => 'back', String), { timeout: 15_000 })
      .toBe('back');
  });

  test('a store that is not connected keeps its keys unavailable, and comes back', async () => {
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId: storeId });
    expect((await kms.describeKey({ KeyId })).KeyMetadata?.KeyState).toBe('Unavailable');
    expect(await refusalOf(kms.encrypt({ KeyId, Plaintext }))).toMatch(
      /^KMSInvalidStateException: .* is unavailable\.$/,
    );
    await kms.connectCustomKeyStore({ CustomKeyStoreId: storeId });
    await kms.encrypt({ KeyId, Plaintext });
  });

  const hasAws = spawnSync('aws', ['--version']).status === 0;
  test.runIf(hasAws)(
    "the page's own commands work, with the AWS command line",
    async () => {
      const [commands = ''] = shellBlocksOf('custom-key-stores.md');
      fake.keys.set('key-2', randomBytes(32));
      const env = {
        ...awsEnvironmentOf(cluster),
        XKS_ACCESS_KEY_ID: credential.AccessKeyId,
        XKS_SECRET_ACCESS_KEY: credential.RawSecretAccessKey,
        EXTERNAL_KEY: 'key-2',
      };
      const settings = 'aws configure set cli_follow_urlparam false\n';
      const stdout = await runRecipe(settings + commands.replace('xks.example.com', 'fake.test'), env);
      const opened = await kms.decrypt({ CiphertextBlob: Buffer.from(stdout.trim(), 'base64') });
      expect(Buffer.from(opened.Plaintext!).toString()).toBe('hello');
    },
    60_000,
  );

  test('neither Redis, nor logs, nor the audit log have the secret of the credential', async () => {
    const files = ['log/audit.log', 'log/frontend.log'].map((file) =>
      readFileSync(cluster.home.in(...file.split('/')), 'utf8'),
    );
    for (const text of files) expect(text).not.toContain(credential.RawSecretAccessKey);
    expect(files[0]).toContain('CreateCustomKeyStore');
    const stored = readdirSync(cluster.home.in('redis'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
    expect(stored.some((text) => text.includes('kf:key-stores'))).toBe(true);
    for (const text of stored) expect(text).not.toContain(credential.RawSecretAccessKey);
  });
});

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

function keysOf({ certificateFile, keyFile }: Certificate) {
  return { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
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

describe('Keyfleet against Keyfleet', () => {
  test('a key of one is the external key of another, its credential changes while it is used, and its end is the end', async () => {
    const external = (await kms.createKey({})).KeyMetadata!.KeyId!;
    const CustomKeyStoreId = await connected('keyfleet.test', '/a');
    const KeyId = await keyIn(CustomKeyStoreId, external);
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext, EncryptionContext });
    const update = { CustomKeyStoreId, XksProxyAuthenticationCredential: nextCredential };
    await kms.updateCustomKeyStore(update);
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob, EncryptionContext })).Plaintext!)).toEqual(Plaintext);
    const wrong = { ...nextCredential, RawSecretAccessKey: 'x'.repeat(43) };
    const refused = kms.updateCustomKeyStore({ ...update, XksProxyAuthenticationCredential: wrong });
    expect(await refusalOf(refused)).toMatch(/^XksProxyIncorrectAuthenticationCredentialException/);
    const audit = readFileSync(cluster.home.in('log', 'audit.log'), 'utf8').trim().split('\n');
    const used = audit.map(
      (line) => JSON.parse(line) as { userIdentity: { arn: string }; resources?: { ARN: string }[] },
    );
    const byProxy = used.filter(({ userIdentity }) => userIdentity.arn.endsWith(':user/xks'));
    expect(byProxy.some(({ resources }) => resources?.some(({ ARN }) => ARN.endsWith(external)))).toBe(true);
    await kms.disableKey({ KeyId: external });
    const disabled = /^KMSInvalidStateException: The external key associated .* is not enabled/;
    expect(await refusalOf(kms.decrypt({ CiphertextBlob, EncryptionContext }))).toMatch(disabled);
  });
});
