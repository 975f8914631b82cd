import { createKmsClient } from '@keyfleet/client';
import { eventually } from '@keyfleet/test-support/fleet';
import { kms, newKms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { expect, inject, test } from 'vitest';

const admin = 'arn:aws:iam::000000000000:user/admin';
const other = inject('otherAccount');
/** Another frontend, as the same user. */
const elsewhere = newKms({ endpoint: other.endpoint });
const Plaintext = Buffer.from('hello');

/** A key whose policy lets its administrator do all but use it: what a grant allows is then what he may. */
async function guardedKey(): Promise<{ KeyId: string; Arn: string }> {
  const verbs = ['CreateGrant', 'ListGrants', 'RevokeGrant', 'PutKeyPolicy', 'ScheduleKeyDeletion'];
  const Action = verbs.map((verb) => `kms:${verb}`);
  const statement = { Effect: 'Allow', Principal: { AWS: admin }, Action, Resource: '*' };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  const { KeyMetadata } = await kms.createKey({ Policy });
  return { KeyId: KeyMetadata!.KeyId!, Arn: KeyMetadata!.Arn! };
}

const denied = (arn: string) =>
  `AccessDeniedException: User: ${admin} is not authorized to perform: kms:Encrypt on resource: ${arn} because no resource-based policy allows the kms:Encrypt action`;

test('a grant lets its grantee use a key within its constraints, on every frontend, and no longer than it is there', async () => {
  const { KeyId, Arn } = await guardedKey();
  const EncryptionContext = { tenant: 'a' };
  for (const client of [kms, elsewhere]) {
    expect(await refusalOf(client.encrypt({ KeyId, Plaintext, EncryptionContext }))).toBe(denied(Arn));
  }
  const Constraints = { EncryptionContextSubset: EncryptionContext };
  const made = await kms.createGrant({ KeyId, GranteePrincipal: admin, Operations: ['Encrypt'], Constraints });
  const { GrantId, GrantToken } = made;
  // With its token at once; without it as soon as the other frontend has heard.
  await elsewhere.encrypt({ KeyId, Plaintext, EncryptionContext, GrantTokens: [GrantToken!] });
  await eventually('the other frontend knows the grant', async () => {
    await elsewhere.encrypt({ KeyId, Plaintext, EncryptionContext });
    return true;
  });
  expect(await refusalOf(kms.encrypt({ KeyId, Plaintext }))).toBe(denied(Arn));

  await kms.revokeGrant({ KeyId, GrantId });
  const encrypting = () => refusalOf(elsewhere.encrypt({ KeyId, Plaintext, EncryptionContext })).catch(() => '');
  await expect.poll(encrypting, { timeout: 20_000 }).toBe(denied(Arn));
  const late = elsewhere.encrypt({ KeyId, Plaintext, EncryptionContext, GrantTokens: [GrantToken!] });
  expect(await refusalOf(late)).toBe(denied(Arn));
});

test('over gRPC a grant token is taken as over HTTP, and junk is refused', async () => {
  const { KeyId, Arn } = await guardedKey();
  const { grpcAddress, credentials } = inject('cluster');
  using client = createKmsClient({ address: grpcAddress, region: 'us-east-1', credentials });
  const { GrantToken } = await elsewhere.createGrant({ KeyId, GranteePrincipal: admin, Operations: ['Encrypt'] });
  const { KeyId: used } = await client.Encrypt({ KeyId, Plaintext, GrantTokens: [GrantToken!] });
  expect(used).toBe(Arn);
  await expect(client.Encrypt({ KeyId, Plaintext, GrantTokens: ['junk'] })).rejects.toThrow(
    'A grant token is not valid',
  );
});

test('a grant is made once by its name, listed, and retired by whom it names', async () => {
  const { KeyId, Arn } = await guardedKey();
  const input = {
    KeyId,
    GranteePrincipal: admin,
    RetiringPrincipal: admin,
    Name: 'once',
    Operations: ['Decrypt' as const],
  };
  const [first, again] = [await kms.createGrant(input), await elsewhere.createGrant(input)];
  expect(again.GrantId).toBe(first.GrantId);
  const { Grants } = await elsewhere.listGrants({ KeyId });
  const shown = { GrantId: first.GrantId, Name: 'once', KeyId: Arn, IssuingAccount: 'arn:aws:iam::000000000000:root' };
  expect(Grants).toMatchObject([shown]);
  const retirable = await kms.listRetirableGrants({ RetiringPrincipal: admin });
  expect(retirable.Grants).toContainEqual(expect.objectContaining(shown));
  await elsewhere.retireGrant({ GrantToken: again.GrantToken });
  expect((await kms.listGrants({ KeyId })).Grants).toEqual([]);
});

test('lists page through many grants', async () => {
  const { KeyId } = await guardedKey();
  const make = () => kms.createGrant({ KeyId, GranteePrincipal: admin, Operations: ['Encrypt'] });
  const made = await Promise.all(Array.from({ length: 120 }, make));
  const found: string[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms.listGrants({ KeyId, Limit: 50, Marker });
    found.push(...page.Grants!.map(({ GrantId }) => GrantId!));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  expect(new Set(found)).toEqual(new Set(made.map(({ GrantId }) => GrantId)));
  expect(found).toHaveLength(120);
});

test('a grant to another account lets it use the key by its ARN, and makes it nobody else', async () => {
  const { KeyId, Arn } = await guardedKey();
  const stranger = newKms({ endpoint: other.endpoint, credentials: other.credentials });
  const arn = `arn:aws:iam::${other.accountId}:user/other`;
  const outOfReach =
    'because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';
  const refusal = (verb: string) =>
    `AccessDeniedException: User: ${arn} is not authorized to perform: kms:${verb} on this resource ${outOfReach}`;
  expect(await refusalOf(stranger.encrypt({ KeyId: Arn, Plaintext }))).toBe(refusal('Encrypt'));

  const Operations = ['Encrypt' as const, 'RetireGrant' as const];
  const { GrantToken } = await kms.createGrant({ KeyId, GranteePrincipal: arn, Operations });
  await stranger.encrypt({ KeyId: Arn, Plaintext, GrantTokens: [GrantToken!] });
  expect(await refusalOf(stranger.describeKey({ KeyId: Arn, GrantTokens: [GrantToken!] }))).toBe(
    refusal('DescribeKey'),
  );
  await stranger.retireGrant({ GrantToken });
  const late = stranger.encrypt({ KeyId: Arn, Plaintext, GrantTokens: [GrantToken!] });
  expect(await refusalOf(late)).toBe(refusal('Encrypt'));
});
