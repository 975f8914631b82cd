import { CreateAlias, ListAliases } from '@keyfleet/shared/api/aliases';
import { Decrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey, DisableKey, GetPublicKey } from '@keyfleet/shared/api/keys';
import { ReplicateKey } from '@keyfleet/shared/api/multi-region';
import { GetKeyPolicy, PutKeyPolicy } from '@keyfleet/shared/api/policies';
import { ListResourceTags } from '@keyfleet/shared/api/tags';
import { region, user } from '@keyfleet/test-support/fakes/frontend';
import {
  arnIn,
  decryptIn,
  describeIn,
  encryptIn,
  frontend,
  inSouth,
  inWest,
  KeyId,
  keyIn,
  newFrontend,
  newKey,
  replicate,
  south,
  takeNewKey,
  west,
} from '@keyfleet/test-support/fakes/multi-region-key';
import { beforeEach, describe, expect, test } from 'vitest';

beforeEach(newFrontend);

describe('ReplicateKey', () => {
  test('answers a replica that is being created, which is enabled right after', async () => {
    const Tags = [{ TagKey: 'team', TagValue: 'blue' }];
    const answer = await replicate({ Description: 'in the west', Tags });
    const configuration = {
      MultiRegionKeyType: 'REPLICA',
      PrimaryKey: keyIn(region),
      ReplicaKeys: [keyIn(west)],
    };
    expect(answer).toMatchObject({
      ReplicaKeyMetadata: {
        Arn: arnIn(west),
        KeyId,
        KeyState: 'Creating',
        Enabled: false,
        Description: 'in the west',
        MultiRegion: true,
        MultiRegionConfiguration: configuration,
      },
      ReplicaPolicy: expect.stringContaining('key-default-1') as unknown,
      ReplicaTags: Tags,
    });
    expect(await describeIn(west)).toMatchObject({
      Arn: arnIn(west),
      KeyState: 'Enabled',
      MultiRegionConfiguration: configuration,
    });
    expect((await describeIn(region)).MultiRegionConfiguration).toEqual({
      ...configuration,
      MultiRegionKeyType: 'PRIMARY',
    });
    expect((await describeIn(west)).CurrentKeyMaterialId).toBe((await describeIn(region)).CurrentKeyMaterialId);
  });

  test('one Region decrypts what the other encrypted, and no third Region or other key does', async () => {
    const before = await encryptIn(region);
    await replicate();
    expect(await decryptIn(west, before)).toBe(region);
    expect(await decryptIn(region, await encryptIn(west))).toBe(west);
    expect(await frontend.refusal(Decrypt, { CiphertextBlob: before }, inSouth)).toMatch(/^AccessDeniedException/);
    const other = await newKey();
    await frontend.call(ReplicateKey, { KeyId: other, ReplicaRegion: west });
    const request = { CiphertextBlob: before, KeyId: other };
    expect(await frontend.refusal(Decrypt, request, inWest)).toMatch(/^IncorrectKeyException/);
  });

  test('policy, tags and aliases of a Region are its own', async () => {
    await replicate({ Tags: [{ TagKey: 'team', TagValue: 'blue' }] });
    await frontend.call(CreateAlias, { AliasName: 'alias/there', TargetKeyId: KeyId }, inWest);
    expect((await frontend.call(ListAliases, { KeyId })).Aliases).toEqual([]);
    expect((await frontend.call(ListResourceTags, { KeyId })).Tags).toEqual([]);
    const Policy = JSON.stringify({
      Statement: { Effect: 'Allow', Principal: { AWS: '*' }, Action: 'kms:*', Resource: '*' },
    });
    await frontend.call(PutKeyPolicy, { KeyId, Policy }, inWest);
    expect((await frontend.call(GetKeyPolicy, { KeyId })).Policy).not.toBe(Policy);
    await frontend.call(DisableKey, { KeyId }, inWest);
    expect((await describeIn(region)).KeyState).toBe('Enabled');
  });

  test('a third Region is known to the second', async () => {
    await replicate();
    await replicate({ ReplicaRegion: south });
    for (const where of [region, west, south]) {
      expect((await describeIn(where)).MultiRegionConfiguration?.ReplicaKeys).toEqual([keyIn(west), keyIn(south)]);
    }
    expect(await decryptIn(south, await encryptIn(west))).toBe(west);
  });

  test('asymmetric and HMAC keys have one material everywhere', async () => {
    await takeNewKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    await replicate();
    const here = await frontend.call(GetPublicKey, { KeyId });
    const there = await frontend.call(GetPublicKey, { KeyId }, inWest);
    expect(there).toEqual({ ...here, KeyId: arnIn(west) });
  });

  test('is refused with what AWS says', async () => {
    const single = (await frontend.call(CreateKey, {})).KeyMetadata!;
    const ask = (request: object, where = {}) =>
      frontend.refusal(ReplicateKey, { KeyId, ReplicaRegion: west, ...request }, where);
    expect(await ask({ KeyId: single.KeyId })).toBe(
      `UnsupportedOperationException: ${single.Arn} is not a multi-region primary key.`,
    );
    expect(await ask({ ReplicaRegion: region })).toMatch(/^AlreadyExistsException/);
    expect(await ask({ ReplicaRegion: 'mars-north-1' })).toMatch(/^UnsupportedOperationException/);
    await replicate();
    expect(await ask({})).toMatch(/^AlreadyExistsException/);
    expect(await ask({ ReplicaRegion: south }, inWest)).toBe(
      `UnsupportedOperationException: ${arnIn(west)} is not a multi-region primary key.`,
    );
    await frontend.call(DisableKey, { KeyId });
    expect(await ask({ ReplicaRegion: south })).toBe(`DisabledException: ${arnIn(region)} is disabled.`);
  });

  test("counts among the keys of the replica's Region, and leaves no trace where there is no room", async () => {
    await replicate();
    for (let i = 1; i < frontend.keyQuota; i++) await frontend.call(CreateKey, {}, inWest);
    const full = 'Key quota for this account in this region is 100 but the current usage is 100.';
    expect(await frontend.refusal(CreateKey, {}, inWest)).toBe(`LimitExceededException: ${full}`);
    await takeNewKey();
    expect(await frontend.refusal(ReplicateKey, { KeyId, ReplicaRegion: west })).toBe(
      `LimitExceededException: ${full}`,
    );
    expect((await describeIn(region)).MultiRegionConfiguration!.ReplicaKeys).toEqual([]);
    expect(await frontend.store.findKey(west, KeyId)).toBeUndefined();
  });

  test('takes the permission to create keys in the other Region', async () => {
    const allow = (Condition: object) =>
      user('bob', {
        policies: [
          JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:ReplicateKey', Resource: '*' } }),
          JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:CreateKey', Resource: '*', Condition } }),
        ],
      });
    const request = { KeyId, ReplicaRegion: west };
    const refused = [
      { StringEquals: { 'aws:RequestedRegion': region } },
      { StringEquals: { 'kms:MultiRegionKeyType': 'PRIMARY' } },
      { StringEquals: { 'kms:ReplicaRegion': south } },
      { Bool: { 'kms:MultiRegion': 'false' } },
    ];
    for (const condition of refused) {
      expect(await frontend.refusal(ReplicateKey, request, { caller: allow(condition) })).toMatch(
        /^AccessDeniedException: .*kms:CreateKey/,
      );
    }
    const condition = {
      StringEquals: {
        'aws:RequestedRegion': west,
        'kms:ReplicaRegion': west,
        'kms:MultiRegionKeyType': 'REPLICA',
        'kms:KeySpec': 'SYMMETRIC_DEFAULT',
      },
      Bool: { 'kms:MultiRegion': 'true' },
    };
    const Tags = [{ TagKey: 'a', TagValue: 'b' }];
    const caller = allow(condition);
    expect(await frontend.refusal(ReplicateKey, { ...request, Tags }, { caller })).toMatch(/kms:TagResource/);
    await frontend.call(ReplicateKey, request, { caller });
  });
});
