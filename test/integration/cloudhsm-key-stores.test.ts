import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KMS } from '@aws-sdk/client-kms';
import { ServiceEvents } from '@keyfleet/frontend/audit/service-events';
import { noAudit } from '@keyfleet/frontend/audit/sink';
import { destructionOf } from '@keyfleet/frontend/cloudhsm/destruction';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { openClusterKeys } from '@keyfleet/test-support/cluster-records';
import { awsEnvironmentOf, runRecipe, shellBlocksOf } from '@keyfleet/test-support/recipe';
import { startOtherAccount } from '@keyfleet/test-support/sdk-other-account';
import { SoftHsm } from '@keyfleet/test-support/soft-hsm';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

/** CloudHSM key stores over real processes, with a token of SoftHSM2 that two of three hsm-workers have. */
const resources = new AsyncDisposableStack();
const pin = 'password-of-kmsuser';
const CloudHsmClusterId = 'cluster-abcdefghijk';
const account = '444455556666';
let cluster: TestCluster;
let kms: KMS;
let token: SoftHsm;
/** As a worker's configuration has it. */
let configured: object;
let trustAnchor: string;
let otherAnchor: string;

beforeAll(async () => {
  const directory = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-hsm-'))).path;
  token = await SoftHsm.make(directory, { label: 'test', pin });
  const { caFile: trustAnchorFile } = await TestAuthority.make(directory, 'cluster');
  trustAnchor = readFileSync(trustAnchorFile, 'utf8');
  otherAnchor = readFileSync((await TestAuthority.make(directory, 'other')).caFile, 'utf8');
  cluster = resources.use(await startTestCluster({ workers: 3, accountId: account, dueWorkEvery: '1s' }));
  const { environment, label } = token;
  configured = {
    id: CloudHsmClusterId,
    accountId: account,
    region: 'us-east-1',
    module: SoftHsm.module,
    token: { label },
    trustAnchorFile,
    environment,
    timeout: '1500ms',
  };
  const { endpoint, credentials } = cluster;
  const client = new KMS({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1 });
  kms = resources.adopt(client, (it) => it.destroy());
  await reconfigureHolders([configured]);
}, 120_000);
afterAll(() => resources.disposeAsync());

const holders = ['hsm-worker-1', 'hsm-worker-2'];

/** Resolves when the frontend has a session with each worker: until then no cluster is missing for certain. */
async function reconfigureHolders(clusters: readonly object[]): Promise<void> {
  for (const name of holders) {
    const file = cluster.home.in('config', `${name}.json`);
    await cluster.kill(name);
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), clusters }));
    await cluster.restart(name);
  }
  await vi.waitFor(
    async () => {
      const unknown = { CustomKeyStoreName: 'unknown', CloudHsmClusterId: 'cluster-bbbbbbbbbbb' };
      const creation = kms.createCustomKeyStore(store(unknown));
      expect(await refusal(creation)).toBe('CloudHsmClusterNotFoundException');
    },
    { timeout: 20_000 },
  );
}

function store(overrides: object = {}) {
  return {
    CustomKeyStoreName: 'tested',
    CloudHsmClusterId,
    KeyStorePassword: pin,
    TrustAnchorCertificate: trustAnchor,
    ...overrides,
  };
}

async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => new Error('was not refused'),
    (reason: unknown) => reason as Error,
  );
  return error.name;
}

async function described(CustomKeyStoreId: string) {
  return (await kms.describeCustomKeyStores({ CustomKeyStoreId })).CustomKeyStores![0]!;
}

/** The processes in which the module runs. */
function moduleProcesses(): number[] {
  return processesByHolder().flat();
}

function processesByHolder(): number[][] {
  return holders.map((name) => {
    const pid = cluster.pid(name)!;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    return children.map(Number);
  });
}

describe('a CloudHSM key store', () => {
  let storeId: string;
  let keyId: string;
  const Plaintext = Buffer.from('hello');
  const EncryptionContext = { purpose: 'test' };

  test('is made of a cluster that there is, with its certificate, and once', async () => {
    expect(await refusal(kms.createCustomKeyStore(store({ CloudHsmClusterId: 'cluster-bbbbbbbbbbb' })))).toBe(
      'CloudHsmClusterNotFoundException',
    );
    for (const TrustAnchorCertificate of [otherAnchor, 'no certificate']) {
      expect(await refusal(kms.createCustomKeyStore(store({ TrustAnchorCertificate })))).toBe(
        'IncorrectTrustAnchorException',
      );
    }
    storeId = (await kms.createCustomKeyStore(store({ KeyStorePassword: 'not-the-password' }))).CustomKeyStoreId!;
    expect(await refusal(kms.createCustomKeyStore(store({ CustomKeyStoreName: 'again' })))).toBe(
      'CloudHsmClusterInUseException',
    );
    expect(await described(storeId)).toMatchObject({
      CustomKeyStoreType: 'AWS_CLOUDHSM',
      CloudHsmClusterId,
      TrustAnchorCertificate: trustAnchor,
      ConnectionState: 'DISCONNECTED',
    });
  });

  test('does not connect with a wrong password, and does with the right one', async () => {
    await kms.connectCustomKeyStore({ CustomKeyStoreId: storeId });
    expect(await described(storeId)).toMatchObject({
      ConnectionState: 'FAILED',
      ConnectionErrorCode: 'INVALID_CREDENTIALS',
    });
    expect(await refusal(kms.updateCustomKeyStore({ CustomKeyStoreId: storeId, KeyStorePassword: pin }))).toBe(
      'CustomKeyStoreInvalidStateException',
    );
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId: storeId });
    expect(
      await refusal(kms.updateCustomKeyStore({ CustomKeyStoreId: storeId, CloudHsmClusterId: 'cluster-bbbbbbbbbbb' })),
    ).toBe('CloudHsmClusterNotRelatedException');
    await kms.updateCustomKeyStore({ CustomKeyStoreId: storeId, KeyStorePassword: pin });
    await kms.connectCustomKeyStore({ CustomKeyStoreId: storeId });
    expect((await described(storeId)).ConnectionState).toBe('CONNECTED');
  });

  test('has keys whose second key never leaves the token', async () => {
    const { KeyMetadata } = await kms.createKey({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: storeId });
    keyId = KeyMetadata!.KeyId!;
    expect(KeyMetadata).toMatchObject({ CloudHsmClusterId, CustomKeyStoreId: storeId, Origin: 'AWS_CLOUDHSM' });
    const listed = await token.listKeys(pin);
    expect(listed).toContain(keyId);
    expect(listed).toMatch(/AES length 32/);
    expect(listed).toMatch(/Access: +sensitive, always sensitive, never extract[ai]+ble, local/);
  });

  test('encrypts, decrypts, re-encrypts and makes data keys, whichever worker is asked', async () => {
    const plain = (await kms.createKey({})).KeyMetadata!.KeyId!;
    for (let i = 0; i < 12; i++) {
      const { CiphertextBlob } = await kms.encrypt({ KeyId: keyId, Plaintext, EncryptionContext });
      expect(CiphertextBlob![0]).toBe(3);
      const opened = await kms.decrypt({ CiphertextBlob, EncryptionContext });
      expect(Buffer.from(opened.Plaintext!)).toEqual(Plaintext);
      expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe('InvalidCiphertextException');
      const last = Buffer.from(CiphertextBlob!);
      last[last.length - 1]! ^= 1;
      expect(await refusal(kms.decrypt({ CiphertextBlob: last, EncryptionContext }))).toBe(
        'InvalidCiphertextException',
      );
    }
    const made = await kms.generateDataKey({ KeyId: keyId, KeySpec: 'AES_256' });
    const moved = await kms.reEncrypt({ CiphertextBlob: made.CiphertextBlob, DestinationKeyId: plain });
    const back = await kms.reEncrypt({ CiphertextBlob: moved.CiphertextBlob, DestinationKeyId: keyId });
    expect((await kms.decrypt({ CiphertextBlob: back.CiphertextBlob })).Plaintext).toEqual(made.Plaintext);
  });

  test('stays in service whatever other accounts ask of its cluster', async () => {
    const { credentials } = await startOtherAccount(cluster, resources);
    const theirs = new KMS({ endpoint: cluster.endpoint, credentials, region: 'us-east-1', maxAttempts: 1 });
    resources.adopt(theirs, (it) => it.destroy());
    expect(await refusal(theirs.createCustomKeyStore(store()))).toBe('CloudHsmClusterNotFoundException');
    await kms.encrypt({ KeyId: keyId, Plaintext });
  });

  test('makes random bytes, which are other ones each time', async () => {
    const random = { NumberOfBytes: 1024, CustomKeyStoreId: storeId };
    const made = [await kms.generateRandom(random), await kms.generateRandom(random)];
    const [first, second] = made.map(({ Plaintext: bytes }) => Buffer.from(bytes!));
    expect([first!.length, second!.length]).toEqual([1024, 1024]);
    expect(first!.equals(second!)).toBe(false);
    // Of 256 values each about four times: fewer than 200 have a chance below 10^-12.
    expect(new Set(first).size).toBeGreaterThan(200);
  });

  test('has keys of one kind only, which do not rotate and are not imported', async () => {
    const inStore = { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: storeId } as const;
    expect(
      await Promise.all([
        refusal(kms.createKey({ ...inStore, KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })),
        refusal(kms.createKey({ ...inStore, MultiRegion: true })),
        refusal(kms.createKey({ Origin: 'AWS_CLOUDHSM' })),
        refusal(kms.createKey({ ...inStore, Origin: 'EXTERNAL_KEY_STORE', XksKeyId: 'x' })),
        refusal(kms.enableKeyRotation({ KeyId: keyId })),
        refusal(kms.rotateKeyOnDemand({ KeyId: keyId })),
        refusal(kms.generateDataKeyPair({ KeyId: keyId, KeyPairSpec: 'ECC_NIST_P256' })),
        refusal(
          kms.getParametersForImport({
            KeyId: keyId,
            WrappingAlgorithm: 'RSAES_OAEP_SHA_256',
            WrappingKeySpec: 'RSA_2048',
          }),
        ),
      ]),
    ).toEqual([
      'ValidationException',
      'UnsupportedOperationException',
      'ValidationException',
      'ValidationException',
      ...Array.from({ length: 4 }, () => 'UnsupportedOperationException'),
    ]);
  });

  test('goes on when the processes of the module are killed', async () => {
    const killed = moduleProcesses();
    expect(killed.length).toBeGreaterThan(0);
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    await expect.poll(() => moduleProcesses().filter((pid) => killed.includes(pid))).toEqual([]);
    await kms.encrypt({ KeyId: keyId, Plaintext });
  });

  test('holds up nobody else while its token hangs, and comes back', async () => {
    const other = (await kms.createKey({})).KeyMetadata!.KeyId!;
    // Calls of one turn go to one worker: each that has the token must have begun to use it.
    await expect
      .poll(
        async () =>
          (await kms.encrypt({ KeyId: keyId, Plaintext })) && processesByHolder().every(({ length }) => length > 0),
        {
          timeout: 20_000,
        },
      )
      .toBe(true);
    const stopped = moduleProcesses();
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    const hanging = Array.from({ length: 20 }, () => refusal(kms.encrypt({ KeyId: keyId, Plaintext })));
    let slowest = 0;
    for (let i = 0; i < 20; i++) {
      const startedAt = performance.now();
      await kms.encrypt({ KeyId: other, Plaintext });
      slowest = Math.max(slowest, performance.now() - startedAt);
    }
    // What waited for the token would take 1.5 s.
    expect(slowest).toBeLessThan(1_000);
    const outcomes = await Promise.all(hanging);
    // A process that hangs on a call is killed, and another takes its place: the call fails so, or another process
    // answers it.
    expect(outcomes.filter((outcome) => !['KMSInvalidStateException', 'Error'].includes(outcome))).toEqual([]);
    // The calls above may all have gone to one worker. The other learns that its process hangs when it is asked.
    const isRid = async () => {
      await refusal(kms.encrypt({ KeyId: keyId, Plaintext }));
      return !moduleProcesses().some((pid) => stopped.includes(pid));
    };
    await expect.poll(isRid, { timeout: 60_000 }).toBe(true);
    await expect.poll(() => refusal(kms.encrypt({ KeyId: keyId, Plaintext })), { timeout: 20_000 }).toBe('Error');
  });

  test('keeps its state from its keys: disconnected, they are Unavailable', async () => {
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId: storeId });
    expect(await refusal(kms.encrypt({ KeyId: keyId, Plaintext }))).toBe('KMSInvalidStateException');
    expect((await kms.describeKey({ KeyId: keyId })).KeyMetadata!.KeyState).toBe('Unavailable');
    const random = kms.generateRandom({ NumberOfBytes: 8, CustomKeyStoreId: storeId });
    expect(await refusal(random)).toBe('CustomKeyStoreInvalidStateException');
    expect(await refusal(kms.deleteCustomKeyStore({ CustomKeyStoreId: storeId }))).toBe(
      'CustomKeyStoreHasCMKsException',
    );
    await kms.connectCustomKeyStore({ CustomKeyStoreId: storeId });
    await kms.encrypt({ KeyId: keyId, Plaintext });
  });

  test('is logged out of by a worker that is taken out of the domain, until that is admitted again', async () => {
    const removed = holders[0]!;
    const { domain, signer } = cliOptionsOf(cluster);
    const change = async (...args: readonly string[]) =>
      expect(await runKeyfleet('member', ...args, ...domain, ...signer)).toMatchObject({ exitCode: 0 });
    const haveSessionsAfterUse = async () => {
      await kms.encrypt({ KeyId: keyId, Plaintext }).catch(() => undefined);
      return processesByHolder().map(({ length }) => length > 0);
    };
    await expect.poll(haveSessionsAfterUse, { timeout: 20_000 }).toEqual([true, true]);
    await change('remove', removed);
    await expect.poll(haveSessionsAfterUse, { timeout: 20_000 }).toEqual([false, true]);
    // Each frontend makes new sessions after a removal, and nobody but this one worker has the cluster meanwhile.
    const goesOn = () =>
      kms.encrypt({ KeyId: keyId, Plaintext }).then(
        () => 'encrypted',
        ({ name }: Error) => name,
      );
    await expect.poll(goesOn, { timeout: 20_000 }).toBe('encrypted');
    await change('admit', cluster.home.in(removed, 'identity.pub.json'));
    await expect.poll(haveSessionsAfterUse, { timeout: 60_000 }).toEqual([true, true]);
  });

  test('keeps the second key of a deleted key for a week, and then destroys it', async () => {
    const { store: records } = await openClusterKeys(cluster, resources);
    const scheduled = async () => {
      const { KeyMetadata } = await kms.createKey({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: storeId });
      await kms.scheduleKeyDeletion({ KeyId: KeyMetadata!.KeyId, PendingWindowInDays: 7 });
      return (await records.findKey('us-east-1', KeyMetadata!.KeyId!))!;
    };
    const [now, weekAgo] = [await scheduled(), await scheduled()];
    await records.updateKey({ ...now, deletionDate: Date.now() });
    const event = new ServiceEvents(noAudit, { now: Date.now }).deletionOf(weekAgo);
    await records.deleteKey(weekAgo, event, destructionOf(weekAgo, Date.now() - 7 * 86_400_000));
    const isThere = async ({ keyId: id }: { keyId: string }) => (await token.listKeys(pin)).includes(id);
    await expect.poll(() => isThere(weekAgo), { timeout: 30_000, interval: 1_000 }).toBe(false);
    const describing = () => refusal(kms.describeKey({ KeyId: now.keyId }));
    await expect.poll(describing, { timeout: 30_000 }).toBe('NotFoundException');
    // Whatever was due by then is done.
    await delay(3_000);
    expect(await isThere(now)).toBe(true);
  });

  test('loses what the token loses, and nothing else', async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId: keyId, Plaintext });
    await token.loseKey(pin, keyId);
    expect(await token.listKeys(pin)).not.toContain(keyId);
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe('KMSInvalidStateException');
    const { KeyMetadata } = await kms.createKey({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: storeId });
    await kms.encrypt({ KeyId: KeyMetadata!.KeyId, Plaintext });
  });

  test('says that there is no cluster when no worker has it any more', async () => {
    await kms.disconnectCustomKeyStore({ CustomKeyStoreId: storeId });
    await reconfigureHolders([]);
    await kms.connectCustomKeyStore({ CustomKeyStoreId: storeId });
    expect(await described(storeId)).toMatchObject({
      ConnectionState: 'FAILED',
      ConnectionErrorCode: 'CLUSTER_NOT_FOUND',
    });
  });
});

const hasAws = spawnSync('aws', ['--version']).status === 0;
test.runIf(hasAws)(
  'the commands of docs/custom-key-stores.md make a store and a key in the token',
  async () => {
    const id = 'cluster-recipe22222';
    await reconfigureHolders([{ ...configured, id }]);
    const [, commands = ''] = shellBlocksOf('custom-key-stores.md');
    const printed = await runRecipe(
      commands.replace(CloudHsmClusterId, id),
      { ...awsEnvironmentOf(cluster), PASSWORD: pin },
      (directory) => writeFileSync(join(directory, 'customerCA.crt'), trustAnchor),
    );
    const { KeyMetadata } = JSON.parse(printed) as { KeyMetadata: { KeyId: string } };
    expect(KeyMetadata).toMatchObject({ Origin: 'AWS_CLOUDHSM', CloudHsmClusterId: id, KeyState: 'Enabled' });
    expect(await token.listKeys(pin)).toContain(KeyMetadata.KeyId);
  },
  60_000,
);
