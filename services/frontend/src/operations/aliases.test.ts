import { CreateAlias, DeleteAlias, ListAliases, UpdateAlias } from '@keyfleet/shared/api/aliases';
import { CreateKey, DescribeKey, ListKeys } from '@keyfleet/shared/api/keys';
import { accountId, FakeFrontend, region, user } from '@keyfleet/test-support/fakes/frontend';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend;
beforeEach(() => {
  frontend = new FakeFrontend();
});

const aliasArn = (name: string) => `arn:aws:kms:${region}:${accountId}:${name}`;

async function newKeyId(request: object = {}): Promise<string> {
  const { KeyMetadata } = await frontend.call(CreateKey, request);
  return KeyMetadata?.KeyId ?? '';
}

async function targetOf(KeyId: string): Promise<string | undefined> {
  return (await frontend.call(DescribeKey, { KeyId })).KeyMetadata?.KeyId;
}

test('an alias names a key until it is moved or deleted', async () => {
  const [first, second] = [await newKeyId(), await newKeyId()];
  expect(await frontend.call(CreateAlias, { AliasName: 'alias/a', TargetKeyId: first })).toBeUndefined();
  expect(await targetOf('alias/a')).toBe(first);
  frontend.now += 1000;
  await frontend.call(UpdateAlias, { AliasName: 'alias/a', TargetKeyId: second });
  expect(await targetOf('alias/a')).toBe(second);
  expect(await frontend.call(ListAliases, { KeyId: second })).toEqual({
    Aliases: [
      {
        AliasName: 'alias/a',
        AliasArn: aliasArn('alias/a'),
        TargetKeyId: second,
        CreationDate: frontend.now - 1000,
        LastUpdatedDate: frontend.now,
      },
    ],
    Truncated: false,
  });
  await frontend.call(DeleteAlias, { AliasName: 'alias/a' });
  expect(await frontend.refusal(DescribeKey, { KeyId: 'alias/a' })).toBe(
    `NotFoundException: Alias ${aliasArn('alias/a')} is not found.`,
  );
});

test('the audit record of a change names the alias and the key', async () => {
  const keyId = await newKeyId();
  await frontend.call(CreateAlias, { AliasName: 'alias/a', TargetKeyId: keyId });
  const arn = `arn:aws:kms:${region}:${accountId}:key/${keyId}`;
  expect(frontend.lastAudit).toMatchObject({
    eventName: 'CreateAlias',
    requestParameters: { aliasName: 'alias/a', targetKeyId: keyId },
    responseElements: { keyId: arn },
    resources: [{ ARN: arn }],
    readOnly: false,
  });
});

test.each([
  [
    'nothing',
    'ValidationException: Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
  ],
  ['alias/aws/s3', 'NotAuthorizedException'],
  ['alias/a:b', 'InvalidAliasNameException: alias/a:b contains invalid characters for an alias'],
])('an alias cannot be called %s', async (AliasName, expected) => {
  expect(await frontend.refusal(CreateAlias, { AliasName, TargetKeyId: await newKeyId() })).toBe(expected);
});

test('a name is given once', async () => {
  const TargetKeyId = await newKeyId();
  await frontend.call(CreateAlias, { AliasName: 'alias/a', TargetKeyId });
  expect(await frontend.refusal(CreateAlias, { AliasName: 'alias/a', TargetKeyId })).toBe(
    `AlreadyExistsException: An alias with the name ${aliasArn('alias/a')} already exists`,
  );
});

test('an alias points at a key and not at an alias', async () => {
  await frontend.call(CreateAlias, { AliasName: 'alias/a', TargetKeyId: await newKeyId() });
  expect(await frontend.refusal(CreateAlias, { AliasName: 'alias/b', TargetKeyId: 'alias/a' })).toBe(
    'ValidationException: Aliases must refer to keys. Not aliases',
  );
});

test('a key has at most 50 aliases, however they come', async () => {
  const TargetKeyId = await newKeyId();
  for (let i = 0; i < 50; i++) await frontend.call(CreateAlias, { AliasName: `alias/n${i}`, TargetKeyId });
  const full = /^LimitExceededException/;
  expect(await frontend.refusal(CreateAlias, { AliasName: 'alias/more', TargetKeyId })).toMatch(full);
  await frontend.call(CreateAlias, { AliasName: 'alias/more', TargetKeyId: await newKeyId() });
  expect(await frontend.refusal(UpdateAlias, { AliasName: 'alias/more', TargetKeyId })).toMatch(full);
  await frontend.call(UpdateAlias, { AliasName: 'alias/n1', TargetKeyId });
});

test('an alias does not move to another kind of key', async () => {
  await frontend.call(CreateAlias, { AliasName: 'alias/a', TargetKeyId: await newKeyId() });
  const rsa = await newKeyId({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  expect(await frontend.refusal(UpdateAlias, { AliasName: 'alias/a', TargetKeyId: rsa })).toMatch(
    /^ValidationException: Alias alias\/a cannot be changed from a SYMMETRIC key to a ASYMMETRIC key/,
  );
  await frontend.call(CreateAlias, { AliasName: 'alias/rsa', TargetKeyId: rsa });
  const signing = await newKeyId({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' });
  expect(await frontend.refusal(UpdateAlias, { AliasName: 'alias/rsa', TargetKeyId: signing })).toBe(
    `ValidationException: Alias alias/rsa cannot be changed from a CMK with key usage ENCRYPT_DECRYPT to a CMK with key usage SIGN_VERIFY. The key usage of the current CMK and the new CMK must be the same.`,
  );
});

test('an alias that is not there cannot be moved or deleted', async () => {
  const expected = `NotFoundException: Alias ${aliasArn('alias/none')} is not found.`;
  expect(await frontend.refusal(DeleteAlias, { AliasName: 'alias/none' })).toBe(expected);
  expect(await frontend.refusal(UpdateAlias, { AliasName: 'alias/none', TargetKeyId: await newKeyId() })).toBe(
    expected,
  );
});

test('an alias needs permission on the alias and on the key', async () => {
  const TargetKeyId = await newKeyId();
  const keyArn = `arn:aws:kms:${region}:${accountId}:key/${TargetKeyId}`;
  const only = (Resource: string) =>
    user('carol', { policies: [JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:*Alias', Resource } })] });
  const ask = (caller: ReturnType<typeof user>) =>
    frontend.refusal(CreateAlias, { AliasName: 'alias/a', TargetKeyId }, { caller });
  expect(await ask(only(keyArn))).toContain(`kms:CreateAlias on resource: ${aliasArn('alias/a')} because no identity`);
  expect(await ask(only(aliasArn('alias/*')))).toContain(`kms:CreateAlias on resource: ${keyArn} because no identity`);
});

test('an alias that is moved to a key of others meanwhile is neither deleted nor moved by who may not use that key', async () => {
  const [mine, theirs] = [await newKeyId(), await newKeyId()];
  const arns = [`arn:aws:kms:${region}:${accountId}:key/${mine}`, aliasArn('alias/a')];
  const policies = [JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:*Alias', Resource: arns } })];
  const carol = user('carol', { policies });
  const deleteAlias = frontend.store.deleteAlias.bind(frontend.store);
  const updateAlias = frontend.store.updateAlias.bind(frontend.store);
  for (const operation of [DeleteAlias, UpdateAlias]) {
    await frontend.call(CreateAlias, { AliasName: 'alias/a', TargetKeyId: mine });
    const alias = await frontend.store.findAlias({ accountId, region }, 'alias/a');
    const moved = { ...alias!, targetKeyId: theirs };
    const overtaken = () => updateAlias({ accountId, region }, moved, { from: mine, quota: 50 });
    frontend.store.deleteAlias = async (scope, from) => {
      await overtaken().catch(() => {});
      return deleteAlias(scope, from);
    };
    frontend.store.updateAlias = async (scope, to, move) => {
      await overtaken().catch(() => {});
      return updateAlias(scope, to, move);
    };
    const input = { AliasName: 'alias/a', ...(operation === UpdateAlias && { TargetKeyId: mine }) };
    expect(await frontend.refusal(operation, input, { caller: carol })).toMatch(/^AccessDeniedException/);
    expect(await targetOf('alias/a')).toBe(theirs);
    Object.assign(frontend.store, { deleteAlias, updateAlias });
    await frontend.call(DeleteAlias, { AliasName: 'alias/a' });
  }
});

test('lists come page by page, and a marker belongs to its list', async () => {
  const keyIds = [await newKeyId(), await newKeyId(), await newKeyId()];
  const first = await frontend.call(ListKeys, { Limit: 2 });
  expect(first).toMatchObject({ Truncated: true, NextMarker: expect.any(String) });
  const second = await frontend.call(ListKeys, { Limit: 2, Marker: first.NextMarker });
  expect(second.Truncated).toBe(false);
  expect(second).not.toHaveProperty('NextMarker');
  const listed = [...(first.Keys ?? []), ...(second.Keys ?? [])];
  expect(new Set(listed.map(({ KeyId }) => KeyId))).toEqual(new Set(keyIds));
  expect(listed[0]?.KeyArn).toBe(`arn:aws:kms:${region}:${accountId}:key/${listed[0]?.KeyId}`);

  const { NextMarker = '' } = first;
  const flipped = NextMarker.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'));
  for (const [operation, Marker, overrides] of [
    [ListKeys, flipped, {}],
    [ListKeys, 'nonsense', {}],
    [ListKeys, `${NextMarker}=`, {}],
    [ListAliases, NextMarker, {}],
    [ListKeys, NextMarker, { region: 'eu-west-1' }],
    [ListKeys, NextMarker, { caller: user('eve', { accountId: '999999999999' }) }],
  ] as const) {
    expect(await frontend.refusal(operation, { Marker }, overrides)).toMatch(/^InvalidMarkerException/);
  }
});

test('an account sees its own keys only', async () => {
  await newKeyId();
  const others = await frontend.call(ListKeys, {}, { caller: user('eve', { accountId: '999999999999' }) });
  expect(others).toEqual({ Keys: [], Truncated: false });
  expect(await frontend.call(ListKeys, {}, { region: 'eu-west-1' })).toEqual({ Keys: [], Truncated: false });
});
