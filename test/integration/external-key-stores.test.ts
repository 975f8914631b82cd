import {
  authority,
  cluster,
  connected,
  credential,
  fake,
  fakeServer,
  keyIn,
  kms,
  laterCaFile,
  nextCredential,
  others,
  refusalOf,
  shown,
  startExternalKeyStores,
  stopExternalKeyStores,
  storeAt,
} from '@keyfleet/test-support/external-key-stores';
import { spawnSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { awsEnvironmentOf, runRecipe, shellBlocksOf } from '@keyfleet/test-support/recipe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

beforeAll(startExternalKeyStores, 120_000);
afterAll(stopExternalKeyStores);

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
    const use = () => refusalOf(kms.encrypt({ KeyId, Plaintext })).then(() => fakeServer.shown);
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
    fakeServer.delayMs = 5_000;
    const hung = await measureBeside(hungAnswers);
    fakeServer.delayMs = 0;
    console.log(`p99 of other keys: ${calm.toFixed(1)} ms, and ${hung.toFixed(1)} ms while a store hangs`);
    expect(wellAnswers).toContain('it succeeded');
    const late = expect.stringMatching(/^KMSInvalidStateException: .*did not respond in time/);
    expect([...hungAnswers]).toContainEqual(late);
    // What waited for the store would take two seconds.
    expect(hung).toBeLessThan(Math.max(2 * calm, 1_000));
    await expect
      .poll(() => kms.encrypt({ KeyId, Plaintext }).then(() => 'back', String), { timeout: 30_000 })
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
    const isUsedByProxy = (): boolean => {
      const audit = readFileSync(cluster.home.in('log', 'audit.log'), 'utf8').trim().split('\n');
      return audit
        .map((line) => JSON.parse(line) as { userIdentity: { arn: string }; resources?: { ARN: string }[] })
        .filter(({ userIdentity }) => userIdentity.arn.endsWith(':user/xks'))
        .some(({ resources }) => resources?.some(({ ARN }) => ARN.endsWith(external)));
    };
    await expect.poll(isUsedByProxy).toBe(true);
    await kms.disableKey({ KeyId: external });
    const disabled = /^KMSInvalidStateException: The external key associated .* is not enabled/;
    expect(await refusalOf(kms.decrypt({ CiphertextBlob, EncryptionContext }))).toMatch(disabled);
  });
});
