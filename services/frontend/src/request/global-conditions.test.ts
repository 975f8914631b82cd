import { CreateAlias } from '@keyfleet/shared/api/aliases';
import { CreateKey, DescribeKey } from '@keyfleet/shared/api/keys';
import { accountId, FakeFrontend, policyOf, user } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend<LocalHsm>;
let KeyId: string;
beforeEach(async () => {
  frontend = new FakeFrontend(new LocalHsm());
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  KeyId = KeyMetadata!.KeyId!;
});

/** A user whose identity policy allows everything on this condition. */
const bob = (Condition: object) => ({ caller: user('bob', { policies: [policyOf({ Condition })] }) });

test.each(['assumed-role', 'federated-user'])(
  'a user whose path looks like that of one of %s is a user',
  async (kind) => {
    const Condition = { StringEquals: { 'aws:PrincipalType': 'User' } };
    const arn = `arn:aws:iam::${accountId}:user/x:${kind}/bob`;
    const as = { caller: user('bob', { arn, policies: [policyOf({ Condition })] }) };
    expect(await frontend.may(DescribeKey, { KeyId }, as)).toBe(true);
  },
);

test('where a request comes from, when and how, is a condition', async () => {
  const when = (Condition: object) => frontend.may(DescribeKey, { KeyId }, bob(Condition));
  expect(await when({ IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } })).toBe(true);
  expect(await when({ NotIpAddress: { 'aws:SourceIp': '192.0.2.0/24' } })).toBe(false);
  expect(await when({ DateLessThan: { 'aws:CurrentTime': '2026-11-23T12:00:01Z' } })).toBe(true);
  expect(await when({ DateLessThan: { 'aws:CurrentTime': '2026-11-23T12:00:00Z' } })).toBe(false);
  expect(await when({ NumericGreaterThan: { 'aws:EpochTime': '1700000000' } })).toBe(true);
  expect(await when({ Bool: { 'aws:SecureTransport': 'true' } })).toBe(true);
  expect(await when({ StringEquals: { 'aws:UserAgent': 'test' } })).toBe(true);
  expect(await when({ StringEquals: { 'aws:RequestedRegion': ['eu-west-1'] } })).toBe(false);
  expect(
    await when({ StringEquals: { 'aws:username': 'bob', 'aws:userid': 'AIDABOB', 'aws:PrincipalType': 'User' } }),
  ).toBe(true);
  expect(await when({ ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:user/b*' } })).toBe(true);
  expect(await when({ Bool: { 'aws:MultiFactorAuthPresent': 'false' } })).toBe(false);
  expect(await when({ BoolIfExists: { 'aws:MultiFactorAuthPresent': 'true' } })).toBe(true);
  expect(await when({ StringEquals: { 'kms:ViaService': 's3.us-east-1.amazonaws.com' } })).toBe(false);
  expect(await when({ StringNotEquals: { 'aws:PrincipalOrgID': 'o-1' } })).toBe(true);
});

test('a session has what its credentials say', async () => {
  const issuedAt = frontend.now;
  const session = {
    roleArn: `arn:aws:iam::${accountId}:role/team/app`,
    policies: [],
    issuedAt,
    sourceIdentity: 'alice',
  };
  const as = (Condition: object, policies: string[] = []) => ({
    caller: user('app', {
      arn: `arn:aws:sts::${accountId}:assumed-role/app/one`,
      policies: [policyOf({ Condition })],
      session: { ...session, policies },
    }),
  });
  const when = (Condition: object, policies?: string[]) =>
    frontend.may(DescribeKey, { KeyId }, as(Condition, policies));
  expect(await when({ ArnEquals: { 'aws:PrincipalArn': session.roleArn } })).toBe(true);
  expect(await when({ DateLessThan: { 'aws:TokenIssueTime': '2026-11-23T12:00:00Z' } })).toBe(false);
  expect(await when({ DateLessThan: { 'aws:TokenIssueTime': '2026-11-23T12:00:01Z' } })).toBe(true);
  expect(await when({ StringEquals: { 'aws:SourceIdentity': 'alice', 'aws:PrincipalType': 'AssumedRole' } })).toBe(
    true,
  );
  expect(await when({ Null: { 'aws:username': 'true' } })).toBe(true);
  expect(await when({}, [policyOf({ Action: 'kms:Encrypt' })])).toBe(false);
  expect(await when({}, [policyOf({ Action: 'kms:Encrypt' }), policyOf({ Action: 'kms:DescribeKey' })])).toBe(true);
});

test('about an alias by itself a request has the global keys only', async () => {
  const create = (Condition: object) =>
    frontend.may(CreateAlias, { AliasName: 'alias/a', TargetKeyId: KeyId }, bob(Condition));
  expect(await create({ StringEquals: { 'kms:CallerAccount': accountId } })).toBe(false);
  expect(await create({ IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } })).toBe(true);
});
