import { FakeFrontend, user } from '@keyfleet/test-support/fakes/frontend';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey, DescribeKey, DisableKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { PutKeyPolicy } from '@keyfleet/shared/api/policies';
import { readGivenIdentityPolicy } from '@keyfleet/frontend/policy/given-policy';
import type { RoleRecord } from '@keyfleet/frontend/identities/iam-records';
import type { ChargedIam } from '@keyfleet/frontend/identities/iam-store';
import { MemoryIamStore } from '@keyfleet/frontend/identities/memory-iam-store';
import type { Admitted, IamDeps } from '@keyfleet/frontend/identities/query-operation';
import { assumeRoleWithWebIdentity } from '@keyfleet/frontend/identities/sts/web-identity';
import { beforeEach, expect, test } from 'vitest';

const document = readFileSync(join(import.meta.dirname, '../docs/authorization.md'), 'utf8');

/** The policies of a recipe, as its reader copies them. */
function recipes(name: string): string[] {
  const section = document.split(/^### /m).find((one) => one.startsWith(`${name}\n`)) ?? '';
  return [...section.matchAll(/```json\n(.*?)```/gs)].map(([, policy]) => policy!);
}

function recipe(name: string): string {
  const [policy] = recipes(name);
  if (policy === undefined) throw new Error(`docs/authorization.md has no recipe "${name}"`);
  return policy;
}

let frontend: FakeFrontend;
beforeEach(() => {
  frontend = new FakeFrontend();
});

const day = 86_400_000;
const Plaintext = Buffer.from('attack at dawn');
const nothing = { policies: [] };

/** A key that `author` made with the policy. */
async function keyWith(Policy: string, author = user('alice')): Promise<string> {
  const { KeyMetadata } = await frontend.call(CreateKey, { Policy }, { caller: author });
  return KeyMetadata!.KeyId!;
}

test('recipes: an application’s key', async () => {
  const KeyId = await keyWith(recipe("An application's key"));
  const admin = { caller: user('admin') };
  const payroll = { caller: user('payroll', nothing) };
  const own = { KeyId, Plaintext, EncryptionContext: { app: 'payroll', record: '1' } };
  expect(await frontend.may(Encrypt, own, payroll)).toBe(true);
  expect(await frontend.may(Encrypt, { ...own, EncryptionContext: { app: 'other' } }, payroll)).toBe(false);
  expect(await frontend.may(Encrypt, { ...own, EncryptionContext: { app: 'payroll', more: '1' } }, payroll)).toBe(
    false,
  );
  expect(await frontend.may(Encrypt, { KeyId, Plaintext }, payroll)).toBe(false);
  expect(await frontend.may(DescribeKey, { KeyId }, payroll)).toBe(false);
  expect(await frontend.may(Encrypt, own, admin)).toBe(false);
  expect(await frontend.may(DescribeKey, { KeyId }, admin)).toBe(true);
  expect(await frontend.may(DescribeKey, { KeyId }, { caller: user('nobody-in-particular', nothing) })).toBe(false);
});

test('recipes: administrators and users apart', async () => {
  const policy = recipe('Administrators and users apart');
  const KeyId = await keyWith(policy, user('key-admin'));
  const [admin, app, powerful] = [user('key-admin'), user('app', nothing), user('powerful')].map((caller) => ({
    caller,
  }));
  expect(await frontend.may(PutKeyPolicy, { KeyId, Policy: policy }, admin)).toBe(true);
  expect(await frontend.may(Encrypt, { KeyId, Plaintext }, admin)).toBe(false);
  expect(await frontend.may(Encrypt, { KeyId, Plaintext }, app)).toBe(true);
  expect(await frontend.may(PutKeyPolicy, { KeyId, Policy: policy }, app)).toBe(false);
  for (const operation of [DescribeKey, DisableKey])
    expect(await frontend.may(operation, { KeyId }, powerful)).toBe(false);
});

test('recipes: an administrator within the boundary does not use a key by a policy of its own making', async () => {
  const [policy, boundary] = recipes('Administrators and users apart');
  const own = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: 'arn:aws:iam::111122223333:user/key-admin' },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  });
  for (const [within, may] of [
    [{}, true],
    [{ boundary: boundary! }, false],
  ] as const) {
    const admin = { caller: user('key-admin', within) };
    const KeyId = await keyWith(policy!, admin.caller);
    await frontend.call(PutKeyPolicy, { KeyId, Policy: own }, admin);
    expect(await frontend.may(Encrypt, { KeyId, Plaintext }, admin)).toBe(may);
    expect(await frontend.may(DescribeKey, { KeyId }, admin)).toBe(true);
  }
});

test('recipes: break glass', async () => {
  const Policy = recipe('Break glass');
  expect(await frontend.refusal(CreateKey, { Policy })).toMatch(/will not allow you to update the key policy/);
  const breaker = { caller: user('break-glass') };
  const KeyId = await keyWith(Policy, breaker.caller);
  const admin = { caller: user('admin') };
  frontend.now += 200 * day;
  expect(await frontend.may(Encrypt, { KeyId, Plaintext }, admin)).toBe(true);
  expect(await frontend.may(PutKeyPolicy, { KeyId, Policy }, admin)).toBe(false);
  expect(await frontend.may(ScheduleKeyDeletion, { KeyId }, breaker)).toBe(false);
  frontend.now += 90 * day;
  expect(await frontend.may(ScheduleKeyDeletion, { KeyId }, admin)).toBe(false);
  expect(await frontend.may(ScheduleKeyDeletion, { KeyId }, breaker)).toBe(true);
});

test('recipes: who breaks the glass may replace the policy that keeps a used key', async () => {
  const Policy = recipe('Break glass');
  const breaker = { caller: user('break-glass') };
  const KeyId = await keyWith(Policy, breaker.caller);
  await frontend.call(Encrypt, { KeyId, Plaintext }, breaker);
  expect(await frontend.may(ScheduleKeyDeletion, { KeyId }, breaker)).toBe(false);
  const without = JSON.parse(Policy) as { Statement: unknown[] };
  await frontend.call(
    PutKeyPolicy,
    { KeyId, Policy: JSON.stringify({ ...without, Statement: without.Statement.slice(0, 2) }) },
    breaker,
  );
  expect(await frontend.may(ScheduleKeyDeletion, { KeyId }, breaker)).toBe(true);
});

test('recipes: tenants by encryption context', async () => {
  const policy = recipe('Tenants by encryption context');
  expect(() => readGivenIdentityPolicy(policy)).not.toThrow();
  const { KeyMetadata } = await frontend.call(CreateKey, { Tags: [{ TagKey: 'shared-by', TagValue: 'tenants' }] });
  const KeyId = KeyMetadata!.KeyId!;
  const of = (tenant?: string) => ({
    caller: user(`of-${tenant}`, { policies: [policy], ...(tenant && { tags: new Map([['tenant', tenant]]) }) }),
  });
  const EncryptionContext = { tenant: 'acme', record: '1' };
  expect(await frontend.may(Encrypt, { KeyId, Plaintext, EncryptionContext }, of('acme'))).toBe(true);
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext, EncryptionContext }, of('acme'));
  expect(await frontend.may(Decrypt, { CiphertextBlob, EncryptionContext }, of('acme'))).toBe(true);
  expect(await frontend.may(Decrypt, { CiphertextBlob, EncryptionContext }, of('evil'))).toBe(false);
  expect(await frontend.may(Decrypt, { CiphertextBlob, EncryptionContext }, of())).toBe(false);
  // To name another tenant's context is forbidden, and with one's own the ciphertext does not open.
  const named = { CiphertextBlob, EncryptionContext: { ...EncryptionContext, tenant: 'evil' } };
  expect(await frontend.refusal(Decrypt, named, of('evil'))).toBe('InvalidCiphertextException');
  const untagged = (await frontend.call(CreateKey, {})).KeyMetadata!.KeyId!;
  expect(await frontend.may(Encrypt, { KeyId: untagged, Plaintext, EncryptionContext }, of('acme'))).toBe(false);
});

test('recipes: from the office, until a day', async () => {
  const KeyId = await keyWith(recipe('From the office, until a day'));
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext });
  const contractor = { caller: user('contractor', nothing) };
  expect(await frontend.may(Decrypt, { CiphertextBlob }, contractor)).toBe(true);
  expect(await frontend.may(Encrypt, { KeyId, Plaintext }, contractor)).toBe(false);
  frontend.now = Date.UTC(2027, 0, 1);
  expect(await frontend.may(Decrypt, { CiphertextBlob }, contractor)).toBe(false);
});

/** The answer to a token of GitHub with the claims, which is taken to be genuine. */
async function assumeFromCi(role: RoleRecord, claims: { readonly sub: string; readonly aud: string }) {
  const iam = new MemoryIamStore();
  await iam.insert(role, 1);
  const issuer = 'https://token.actions.githubusercontent.com';
  const charged: ChargedIam = (_, use) => use(iam);
  const deps = {
    iam,
    charged,
    clock: { now: () => Date.UTC(2026, 0, 1) },
    partition: 'aws',
    rates: { charge: () => undefined },
    webIdentities: { verify: async () => ({ issuer, subject: claims.sub, audience: claims.aud, claims }) },
    sessionTokens: { seal: async () => 'sealed' },
  };
  const caller = { arn: '', accountId: '', userId: '', accessKeyId: '', policies: [] };
  const call = { caller, region: '', requestId: '', sourceIpAddress: '', isSecure: true, userAgent: '', deadline: 0 };
  const RoleArn = `arn:aws:iam::${role.accountId}:role/${role.name}`;
  const input = { RoleArn, RoleSessionName: 'ci', WebIdentityToken: 'genuine' };
  const admitted = { input, call } as object as Admitted<never, never>;
  return assumeRoleWithWebIdentity.run(admitted, deps as object as IamDeps);
}

test('recipes: CI with web identity', async () => {
  const release: RoleRecord = {
    kind: 'role',
    schemaVersion: 1,
    revision: 1,
    accountId: '111122223333',
    name: 'release',
    path: '/',
    id: 'AROARELEASE000000',
    createdAt: 0,
    inline: [],
    attached: [],
    tags: [],
    trustPolicy: recipe('CI with web identity'),
    description: '',
    maxSessionSeconds: 3_600,
  };
  const [aud, sub] = ['sts.amazonaws.com', 'repo:me/app:ref:refs/heads/main'];
  expect(await assumeFromCi(release, { aud, sub })).toMatchObject({ SubjectFromWebIdentityToken: sub });
  for (const claims of [
    { aud, sub: 'repo:me/app:pull_request' },
    { aud: 'other', sub },
  ]) {
    await expect(assumeFromCi(release, claims)).rejects.toThrow('Not authorized to perform');
  }
});
