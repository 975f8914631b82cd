import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  KMS,
  ListAliasesCommand,
  ListRetirableGrantsCommand,
} from '@aws-sdk/client-kms';
import { IAM } from '@aws-sdk/client-iam';
import { STS } from '@aws-sdk/client-sts';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, keyfleetJson, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import { wrapped } from '@keyfleet/test-support/wrapped';
import { dueShardOf } from '@keyfleet/shared/stored/due-entries';
import { dueAt } from '@keyfleet/shared/stored/names';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Finding {
  readonly check: string;
  readonly standing: string;
  readonly finding: string;
}

async function domainKeysFinding(...options: string[]): Promise<Finding> {
  const { findings } = await keyfleetJson<{ findings: Finding[] }>('doctor', '--census', ...options);
  return findings.find(({ check }) => check === 'domain keys')!;
}

test('a backup taken while keys are made restores all of Redis, and everything acknowledged before it works again', async () => {
  await using cluster = await startTestCluster();
  const { home } = cluster;
  const { redis: redisOptions, domain, signer } = cliOptionsOf(cluster);
  const kms = kmsClient(cluster);
  const Plaintext = Buffer.from('hello');
  const KeyId = (await kms.send(new CreateKeyCommand({ Tags: [{ TagKey: 'a', TagValue: 'b' }] }))).KeyMetadata!.KeyId!;
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/kept', TargetKeyId: KeyId }));
  const { endpoint, credentials } = cluster;
  const iam = new IAM({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1 });
  await iam.createUser({ UserName: 'alice' });
  const { AccessKey } = await iam.createAccessKey({ UserName: 'alice' });
  const imported = await importedKey(new KMS({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1 }));
  // Makes the secret that all frontends share.
  await kms.send(new ListAliasesCommand({ Limit: 1 }));
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext }));
  await runKeyfleet('domain', 'rotate', ...domain, ...signer);
  await eventually('everything is resealed', async () => {
    const { finding } = await domainKeysFinding(...domain, ...redisOptions);
    return /^tokens: [1-9]\d* under \w+ \(active\); /.test(finding);
  });

  const admin = 'arn:aws:iam::000000000000:user/admin';
  const grant = { KeyId, GranteePrincipal: admin, RetiringPrincipal: admin, Name: 'kept' };
  const { GrantId } = await kms.send(new CreateGrantCommand({ ...grant, Operations: ['Decrypt'] }));

  let serving = true;
  const made: string[] = [];
  const writers = Array.from({ length: 8 }, async () => {
    while (serving) made.push((await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!);
  });
  await eventually('keys are being made', () => made.length > 20);
  const acknowledged = [...made];
  const file = home.in('backup');
  const taken = await runKeyfleet('backup', ...redisOptions, '--out', file);
  serving = false;
  await Promise.all(writers);
  expect(taken).toMatchObject({ exitCode: 0, notes: '' });

  // The members install a token that the backup has not; the domain-manager that goes on has it.
  await runKeyfleet('domain', 'rotate', ...domain, ...signer);
  await cluster.kill('frontend', ...home.workerNames);
  {
    using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
    const stored = await redis.keys('kf:*');
    const types = new Set(await Promise.all(stored.map((name) => redis.type(name))));
    expect([...types].toSorted()).toEqual(['hash', 'list', 'string', 'zset']);
    expect(stored.length).toBeGreaterThan(20);
    await redis.flushall();
  }
  const restored = await runKeyfleet('restore', file, ...redisOptions);
  expect(restored).toMatchObject({
    exitCode: 0,
    out: expect.stringMatching(/^\d+ values were restored and compared\.$/),
  });
  expect((await runKeyfleet('restore', file, ...redisOptions)).notes).toMatch(
    /this Redis holds \d+ Keyfleet values already/,
  );
  const accepted = await runKeyfleet(
    'store',
    'accept',
    ...signer,
    '--trust-anchor',
    home.trustAnchorFile,
    ...redisOptions,
  );
  expect(accepted).toMatchObject({ exitCode: 0, notes: '' });
  {
    using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
    const shard = dueShardOf({ region: 'us-east-1', keyId: imported.KeyId });
    expect((await redis.zrange(dueAt(shard), '0', '-1')).filter((entry) => entry.includes(imported.KeyId))).toEqual([
      expect.stringContaining(imported.validTo.getTime().toString(16).padStart(12, '0')),
    ]);
  }
  await cluster.restart(...home.workerNames, 'frontend');

  await imported.expectWhole();
  const decrypted = await kms.send(new DecryptCommand({ CiphertextBlob, KeyId: 'alias/kept' }));
  expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
  const { Aliases } = await kms.send(new ListAliasesCommand({ KeyId }));
  expect(Aliases?.map(({ AliasName }) => AliasName)).toEqual(['alias/kept']);
  const retirable = await kms.send(new ListRetirableGrantsCommand({ RetiringPrincipal: admin }));
  expect(retirable.Grants?.map((one) => one.GrantId)).toEqual([GrantId]);
  const again = await kms.send(new CreateGrantCommand({ ...grant, Operations: ['Decrypt'] }));
  expect(again.GrantId).toBe(GrantId);
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey } = AccessKey!;
  const ofAlice = { accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! };
  const sts = new STS({ endpoint, credentials: ofAlice, region: 'us-east-1', maxAttempts: 1 });
  expect((await sts.getCallerIdentity({})).Arn).toContain(':user/alice');
  expect((await iam.listUsers({})).Users?.map(({ UserName }) => UserName)).toEqual(['admin', 'alice']);
  for (const key of acknowledged) await kms.send(new EncryptCommand({ KeyId: key, Plaintext }));
  await kms.send(new CreateKeyCommand({}));
  expect(await domainKeysFinding(...domain, ...redisOptions)).toMatchObject({ standing: 'well' });
});

/** A key with three materials: a current one that expires, an older one that is deleted, and one for a rotation. */
async function importedKey(kms: KMS) {
  const { KeyId = '' } = (await kms.createKey({ Origin: 'EXTERNAL' })).KeyMetadata!;
  const [first, second, third] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
  const validTo = new Date(Math.ceil(Date.now() / 1000 + 86_400) * 1000);
  const bring = async (material: Uint8Array, how: object) =>
    kms.importKeyMaterial({ KeyId, ...(await wrapped(kms, KeyId, material)), ...how });
  const { KeyMaterialId } = await bring(first, forEver);
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from('old') });
  await bring(second, { ImportType: 'NEW_KEY_MATERIAL', ValidTo: validTo });
  await kms.rotateKeyOnDemand({ KeyId });
  await bring(third, { ...forEver, ImportType: 'NEW_KEY_MATERIAL' });
  await kms.deleteImportedKeyMaterial({ KeyId, KeyMaterialId });
  const list = async () => {
    const request = { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' } as const;
    return (await kms.listKeyRotations(request)).Rotations!;
  };
  const before = await list();
  const expectWhole = async () => {
    expect(await list()).toEqual(before);
    expect((await kms.describeKey({ KeyId })).KeyMetadata).toMatchObject({ KeyState: 'PendingImport' });
    await bring(first, forEver);
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!).toString()).toBe('old');
    await kms.rotateKeyOnDemand({ KeyId });
    await kms.encrypt({ KeyId, Plaintext: Buffer.from('new') });
  };
  return { KeyId, validTo, expectWhole };
}

test('the doctor names damaged records, and tokens that no domain key opens', async () => {
  await using cluster = await startTestCluster();
  const { redis: redisOptions, domain } = cliOptionsOf(cluster);
  const kms = kmsClient(cluster);
  const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  expect(await domainKeysFinding(...domain, ...redisOptions)).toMatchObject({ standing: 'well' });

  using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
  const name = `kf:key:{us-east-1/${KeyId}}`;
  const record = (await redis.hget(name, 'record'))!;
  const ofAnotherDomainKey = JSON.parse(record) as { backingKeys: { token: string }[] };
  const token = Buffer.from(ofAnotherDomainKey.backingKeys[0]!.token, 'base64').toString('latin1');
  const changed = token.replace(/[0-9a-f]{32}/, 'f'.repeat(32));
  ofAnotherDomainKey.backingKeys[0]!.token = Buffer.from(changed, 'latin1').toString('base64');
  await redis.hset(name, 'record', JSON.stringify(ofAnotherDomainKey));
  expect(await domainKeysFinding(...domain, ...redisOptions)).toMatchObject({
    standing: 'not-well',
    finding: expect.stringContaining('1 tokens are sealed under domain keys that the domain does not have'),
  });
  await redis.hset(name, 'record', record.slice(0, 100));
  expect(await domainKeysFinding(...domain, ...redisOptions)).toMatchObject({
    standing: 'not-well',
    finding: expect.stringContaining(`1 values are damaged (${name})`),
  });
});

test('the doctor has everything opened that is stored, and names what does not open', async () => {
  await using cluster = await startTestCluster();
  const { redis: redisOptions, domain, host } = cliOptionsOf(cluster);
  const kms = kmsClient(cluster);
  const made = [];
  for (let i = 0; i < 3; i++) made.push((await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!);
  const material = async (...options: string[]) => {
    const { out, exitCode } = await runKeyfleet('doctor', '--deep', ...options, ...domain, ...redisOptions);
    return { exitCode, line: out.split('\n').find((line) => line.includes('stored material')) };
  };
  expect((await material()).line).toMatch(/NOT WELL .*give its --host and --host-key/);
  expect(await material(...host)).toEqual({ exitCode: 0, line: expect.stringMatching(/well .*all 5 tokens open/) });

  using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
  const at = (keyId: string) => `kf:key:{us-east-1/${keyId}}`;
  const recordOf = async (keyId: string) => JSON.parse((await redis.hget(at(keyId), 'record'))!) as StoredRecord;
  const [flipped, swapped] = [await recordOf(made[0]!), await recordOf(made[1]!)];
  const token = Buffer.from(flipped.backingKeys[0]!.token, 'base64');
  token[token.length - 1]! ^= 1;
  swapped.backingKeys[0]!.token = flipped.backingKeys[0]!.token;
  flipped.backingKeys[0]!.token = token.toString('base64');
  await redis.hset(at(made[0]!), 'record', JSON.stringify(flipped));
  await redis.hset(at(made[1]!), 'record', JSON.stringify(swapped));
  const { exitCode, line } = await material(...host);
  expect(exitCode).toBe(1);
  expect(line).toMatch(/NOT WELL .*2 values do not open: .*, says hsm-worker-\d/);
  for (const keyId of made.slice(0, 2)) expect(line).toContain(at(keyId));
  expect(line).not.toContain(made[2]);
});

interface StoredRecord {
  readonly backingKeys: { token: string }[];
}

test('a backup that was changed or cut off, or for a Redis in use, is refused before anything is written', async () => {
  await using cluster = await startTestCluster({ workers: 1 });
  const { redis: redisOptions } = cliOptionsOf(cluster);
  const file = cluster.home.in('backup');
  await runKeyfleet('backup', ...redisOptions, '--out', file);
  expect((await runKeyfleet('restore', file, ...redisOptions)).notes).toMatch(
    /this Redis holds \d+ Keyfleet values already/,
  );
  const text = readFileSync(file, 'utf8');
  for (const damaged of [text.slice(0, -200), text.replace('us-east-1', 'us-east-2').replace('kf:', 'kf;')]) {
    writeFileSync(file, damaged);
    expect(await runKeyfleet('restore', file, ...redisOptions)).toMatchObject({
      exitCode: 1,
      notes: expect.stringMatching(/damaged|truncated/),
    });
  }
});
