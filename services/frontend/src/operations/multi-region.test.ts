import { CreateAlias, ListAliases } from '@keyfleet/shared/api/aliases';
import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import {
  CancelKeyDeletion,
  CreateKey,
  DescribeKey,
  DisableKey,
  GetPublicKey,
  ScheduleKeyDeletion,
} from '@keyfleet/shared/api/keys';
import { ReplicateKey, UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import { GetKeyPolicy, PutKeyPolicy } from '@keyfleet/shared/api/policies';
import {
  DisableKeyRotation,
  EnableKeyRotation,
  GetKeyRotationStatus,
  ListKeyRotations,
  RotateKeyOnDemand,
} from '@keyfleet/shared/api/rotation';
import { ListResourceTags } from '@keyfleet/shared/api/tags';
import { accountId, FakeFrontend, region, user } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { beforeEach, describe, expect, test } from 'vitest';

const [west, south] = ['eu-west-1', 'ap-south-1'];
const DAY = 86_400_000;

let frontend: FakeFrontend<LocalHsm>;
let KeyId: string;
beforeEach(async () => {
  frontend = new FakeFrontend(new LocalHsm());
  KeyId = await newKey();
});

async function newKey(request: object = {}): Promise<string> {
  const { KeyMetadata } = await frontend.call(CreateKey, { MultiRegion: true, ...request });
  return KeyMetadata!.KeyId;
}

const inWest = { region: west };
const inSouth = { region: south };
const arnIn = (where: string) => `arn:aws:kms:${where}:${accountId}:key/${KeyId}`;
const keyIn = (where: string) => ({ Arn: arnIn(where), Region: where });

function replicate(request: object = {}) {
  return frontend.call(ReplicateKey, { KeyId, ReplicaRegion: west, ...request });
}

async function describeIn(where: string) {
  return (await frontend.call(DescribeKey, { KeyId }, { region: where })).KeyMetadata!;
}

async function encryptIn(where: string): Promise<Uint8Array> {
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext: Buffer.from(where) }, { region: where });
  return CiphertextBlob!;
}

async function decryptIn(where: string, CiphertextBlob: Uint8Array): Promise<string> {
  const { Plaintext } = await frontend.call(Decrypt, { CiphertextBlob }, { region: where });
  return Buffer.from(Plaintext!).toString();
}

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
    KeyId = await newKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
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
    KeyId = await newKey();
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

describe('UpdatePrimaryRegion', () => {
  test('makes the replica the primary, and the primary a replica, in every Region', async () => {
    await replicate();
    await replicate({ ReplicaRegion: south });
    await frontend.call(EnableKeyRotation, { KeyId });
    await frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west });
    for (const where of [region, west, south]) {
      expect(await describeIn(where)).toMatchObject({
        KeyState: 'Enabled',
        MultiRegionConfiguration: {
          MultiRegionKeyType: where === west ? 'PRIMARY' : 'REPLICA',
          PrimaryKey: keyIn(west),
          ReplicaKeys: [keyIn(region), keyIn(south)],
        },
      });
    }
    const { KeyRotationEnabled } = await frontend.call(GetKeyRotationStatus, { KeyId }, inWest);
    expect(KeyRotationEnabled).toBe(true);
    await frontend.call(RotateKeyOnDemand, { KeyId }, inWest);
    expect(await decryptIn(region, await encryptIn(west))).toBe(west);
  });

  test('is refused unless there is an enabled replica, and the caller may there, too', async () => {
    const ask = (PrimaryRegion: string, where = {}) =>
      frontend.refusal(UpdatePrimaryRegion, { KeyId, PrimaryRegion }, where);
    expect(await ask(west)).toBe(`NotFoundException: Key '${arnIn(west)}' does not exist`);
    await replicate();
    expect(await ask(region)).toMatch(/^UnsupportedOperationException/);
    expect(await ask(region, inWest)).toBe(
      `UnsupportedOperationException: ${arnIn(west)} is not a multi-region primary key.`,
    );
    const bob = user('bob', {
      policies: [
        JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:UpdatePrimaryRegion', Resource: arnIn(region) } }),
      ],
    });
    expect(await ask(west, { caller: bob })).toMatch(new RegExp(`^AccessDeniedException: .*${arnIn(west)}`));
    await frontend.call(DisableKey, { KeyId }, inWest);
    expect(await ask(west)).toBe(`DisabledException: ${arnIn(west)} is disabled.`);
  });
});

describe('rotation', () => {
  beforeEach(async () => {
    await replicate();
  });

  test('on demand reaches every Region', async () => {
    const old = await encryptIn(west);
    await frontend.call(RotateKeyOnDemand, { KeyId });
    expect(await decryptIn(west, await encryptIn(region))).toBe(region);
    expect(await decryptIn(region, await encryptIn(west))).toBe(west);
    expect(await decryptIn(region, old)).toBe(west);
    const here = await frontend.call(ListKeyRotations, { KeyId });
    expect(here.Rotations).toMatchObject([{ RotationType: 'ON_DEMAND', KeyMaterialState: 'CURRENT' }]);
    expect(await frontend.call(ListKeyRotations, { KeyId }, inWest)).toEqual(here);
    expect(frontend.serviceEvents.map(({ eventName, awsRegion }) => [eventName, awsRegion])).toEqual([
      ['SynchronizeMultiRegionKey', west],
      ['SynchronizeMultiRegionKey', west],
      ['RotateKey', region],
    ]);
  });

  test('is done at the primary, and its status is shown everywhere', async () => {
    const refusal = `UnsupportedOperationException: ${arnIn(west)} is not a multi-region primary key.`;
    expect(await frontend.refusal(RotateKeyOnDemand, { KeyId }, inWest)).toBe(refusal);
    expect(await frontend.refusal(EnableKeyRotation, { KeyId }, inWest)).toBe(refusal);
    await frontend.call(EnableKeyRotation, { KeyId, RotationPeriodInDays: 90 });
    const here = await frontend.call(GetKeyRotationStatus, { KeyId });
    expect(here).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 90 });
    expect(await frontend.call(GetKeyRotationStatus, { KeyId }, inWest)).toEqual({ ...here, KeyId: arnIn(west) });
    expect(await frontend.refusal(DisableKeyRotation, { KeyId }, inWest)).toBe(refusal);
    await frontend.call(DisableKeyRotation, { KeyId });
    expect(await frontend.call(GetKeyRotationStatus, { KeyId }, inWest)).toMatchObject({ KeyRotationEnabled: false });
  });
});

describe('deletion', () => {
  beforeEach(async () => {
    await replicate();
  });

  test('of a primary waits for its replicas, and has no date so far', async () => {
    const answer = await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 8 });
    expect(answer).toEqual({ KeyId: arnIn(region), KeyState: 'PendingReplicaDeletion', PendingWindowInDays: 8 });
    const metadata = await describeIn(region);
    expect(metadata).toMatchObject({ KeyState: 'PendingReplicaDeletion', PendingDeletionWindowInDays: 8 });
    expect(metadata).not.toHaveProperty('DeletionDate');
    const pending = `KMSInvalidStateException: ${arnIn(region)} is pending deletion.`;
    expect(await frontend.refusal(Encrypt, { KeyId, Plaintext: Buffer.from('x') })).toBe(pending);
    expect(await frontend.refusal(ScheduleKeyDeletion, { KeyId })).toBe(pending);
    expect(await decryptIn(west, await encryptIn(west))).toBe(west);
    await frontend.call(CancelKeyDeletion, { KeyId });
    const cancelled = await describeIn(region);
    expect(cancelled.KeyState).toBe('Disabled');
    expect(cancelled).not.toHaveProperty('PendingDeletionWindowInDays');
  });

  test('of a replica is its own', async () => {
    const answer = await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, inWest);
    expect(answer).toMatchObject({ KeyState: 'PendingDeletion', DeletionDate: frontend.now + 7 * DAY });
    expect((await describeIn(region)).KeyState).toBe('Enabled');
    expect((await describeIn(region)).MultiRegionConfiguration?.ReplicaKeys).toEqual([keyIn(west)]);
  });
});
