import { kms, newKms, refusalOf } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { expect, inject, test } from 'vitest';

const { accountId, endpoint, credentials } = inject('otherAccount');
const stranger = newKms({ endpoint, credentials });
const outOfReach =
  'because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';

test('either frontend serves either account, and a key is the account’s that made it', async () => {
  const atTheOther = newKms({ credentials });
  for (const client of [stranger, atTheOther]) {
    const { KeyMetadata: key } = await client.createKey({});
    expect(key!.Arn).toBe(`arn:aws:kms:us-east-1:${accountId}:key/${key!.KeyId}`);
    expect((await stranger.describeKey({ KeyId: key!.KeyId! })).KeyMetadata).toEqual(key);
  }
});

test('a stranger finds no key of the account, and cannot tell whether there is one', async () => {
  const { KeyId, Arn } = await newKey();
  expect(await refusalOf(stranger.describeKey({ KeyId }))).toBe(
    `NotFoundException: Key '${Arn.replace('000000000000', accountId)}' does not exist`,
  );
  const missing = Arn.replace(KeyId, '00000000-0000-4000-8000-000000000000');
  for (const identifier of [Arn, missing]) {
    expect(await refusalOf(stranger.describeKey({ KeyId: identifier }))).toBe(
      `AccessDeniedException: User: arn:aws:iam::${accountId}:user/other is not authorized to perform: kms:DescribeKey on this resource ${outOfReach}`,
    );
  }
  const { Keys = [] } = await stranger.listKeys({ Limit: 1000 });
  expect(Keys.every(({ KeyArn }) => KeyArn!.includes(`:${accountId}:`))).toBe(true);
});

test('a stranger opens no ciphertext of the account, and moves none', async () => {
  const { KeyId } = await newKey();
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from('attack at dawn') });
  const opaque = (action: string) =>
    `AccessDeniedException: User: arn:aws:iam::${accountId}:user/other is not authorized to perform: ${action} on the resource associated with this ciphertext ${outOfReach}`;
  expect(await refusalOf(stranger.decrypt({ CiphertextBlob }))).toBe(opaque('kms:Decrypt'));
  const { KeyMetadata: own } = await stranger.createKey({});
  expect(await refusalOf(stranger.reEncrypt({ CiphertextBlob, DestinationKeyId: own!.KeyId }))).toBe(
    opaque('kms:ReEncryptFrom'),
  );
});

test('the accounts share no alias and no marker', async () => {
  const AliasName = 'alias/of-both';
  await kms.createAlias({ AliasName, TargetKeyId: (await newKey()).KeyId });
  const { KeyMetadata: own } = await stranger.createKey({});
  await stranger.createAlias({ AliasName, TargetKeyId: own!.KeyId });
  expect((await stranger.describeKey({ KeyId: AliasName })).KeyMetadata).toEqual(own);
  await newKey();
  const { NextMarker: Marker } = await kms.listKeys({ Limit: 1 });
  expect(await refusalOf(stranger.listKeys({ Marker }))).toBe('InvalidMarkerException: The marker is not valid.');
});
