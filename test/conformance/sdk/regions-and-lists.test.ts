import { paginateListAliases, paginateListKeys, type KMS } from '@aws-sdk/client-kms';
import { kms, newKms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { expect, test } from 'vitest';

const elsewhere = newKms({ region: 'eu-west-1' });
const farther = newKms({ region: 'us-west-2' });

async function keysOf(client: KMS, pageSize: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { Keys = [] } of paginateListKeys({ client, pageSize }, {})) {
    expect(Keys.length).toBeLessThanOrEqual(pageSize);
    found.push(...Keys.map(({ KeyId }) => KeyId!));
  }
  return found;
}

test('lists come in pages: every key and every alias once, however small the page', async () => {
  const { KeyMetadata } = await farther.createKey({});
  const made = [KeyMetadata!.KeyId!];
  for (let i = 0; i < 11; i++) made.push((await farther.createKey({})).KeyMetadata!.KeyId!);
  for (const pageSize of [1, 5, 12, 1000]) {
    const found = await keysOf(farther, pageSize);
    expect(found).toHaveLength(new Set(found).size);
    expect(new Set(found).isSupersetOf(new Set(made))).toBe(true);
  }
  const names = made.map((_, i) => `alias/page-${i}`);
  for (const AliasName of names) await farther.createAlias({ AliasName, TargetKeyId: made[0]! });
  const aliases: string[] = [];
  for await (const page of paginateListAliases({ client: farther, pageSize: 5 }, { KeyId: made[0]! })) {
    expect(page.Aliases!.every(({ TargetKeyId }) => TargetKeyId === made[0])).toBe(true);
    aliases.push(...page.Aliases!.map(({ AliasName }) => AliasName!));
  }
  expect(aliases.toSorted()).toEqual(names.toSorted());
});

test('a marker is good for its own list alone', async () => {
  for (let i = 0; i < 3; i++) await newKey();
  const { NextMarker: Marker, Truncated } = await kms.listKeys({ Limit: 1 });
  expect(Truncated).toBe(true);
  expect((await kms.listKeys({ Marker, Limit: 1 })).Keys).toHaveLength(1);
  const misuses = [
    () => kms.listAliases({ Marker }),
    () => elsewhere.listKeys({ Marker }),
    () => kms.listKeys({ Marker: `${Marker}A` }),
  ];
  for (const misuse of misuses) {
    expect(await refusalOf(misuse())).toBe('InvalidMarkerException: The marker is not valid.');
  }
});

test('a key, its alias and its ciphertext are in one Region', async () => {
  const { KeyId, Arn } = await newKey();
  const AliasName = `alias/${KeyId}`;
  await kms.createAlias({ AliasName, TargetKeyId: KeyId });
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') });
  const there = Arn.replace('us-east-1', 'eu-west-1');
  expect(await refusalOf(elsewhere.describeKey({ KeyId }))).toBe(`NotFoundException: Key '${there}' does not exist`);
  expect(await refusalOf(elsewhere.describeKey({ KeyId: Arn }))).toBe('NotFoundException: Invalid arn us-east-1');
  expect(await refusalOf(elsewhere.describeKey({ KeyId: AliasName }))).toBe(
    `NotFoundException: Alias ${there.replace('key/', 'alias/')} is not found.`,
  );
  expect(await refusalOf(elsewhere.decrypt({ CiphertextBlob }))).toBe(
    'AccessDeniedException: User: arn:aws:iam::000000000000:user/admin is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access',
  );
  expect(await keysOf(elsewhere, 100)).not.toContain(KeyId);
});

test('the same alias may stand for a key in each Region', async () => {
  const AliasName = 'alias/everywhere';
  for (const client of [kms, elsewhere, farther]) {
    const { KeyMetadata: key } = await client.createKey({});
    await client.createAlias({ AliasName, TargetKeyId: key!.KeyId });
    expect((await client.describeKey({ KeyId: AliasName })).KeyMetadata).toEqual(key);
  }
});

test('an alias moves between keys of one kind, and leaves no trace when it is deleted', async () => {
  const [first, second] = [await newKey(), await newKey()];
  const AliasName = `alias/${first.KeyId}`;
  await kms.createAlias({ AliasName, TargetKeyId: first.KeyId });
  await kms.updateAlias({ AliasName, TargetKeyId: second.Arn });
  expect((await kms.describeKey({ KeyId: AliasName })).KeyMetadata).toEqual(second);
  const mac = await newKey({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
  expect(await refusalOf(kms.updateAlias({ AliasName, TargetKeyId: mac.KeyId }))).toMatch(
    /^ValidationException: Alias /,
  );
  await kms.deleteAlias({ AliasName });
  expect((await kms.listAliases({ KeyId: second.KeyId })).Aliases).toEqual([]);
  await kms.createAlias({ AliasName, TargetKeyId: mac.KeyId });
});

test.each([
  [
    'no-prefix',
    'ValidationException: Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
  ],
  ['alias/aws/mine', 'NotAuthorizedException'],
  [
    'alias/with space',
    "ValidationException: 1 validation error detected: Value 'alias/with space' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
  ],
])('%s is no alias to make', async (AliasName, refusal) => {
  expect(await refusalOf(kms.createAlias({ AliasName, TargetKeyId: (await newKey()).KeyId }))).toBe(refusal);
});

test('a key of another account is refused the same whether it exists or not', async () => {
  const foreign = 'arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000';
  expect(await refusalOf(kms.describeKey({ KeyId: foreign }))).toMatch(
    /^AccessDeniedException: User: \S+ is not authorized to perform: kms:DescribeKey on this resource because the resource does not exist in this Region, /,
  );
});
