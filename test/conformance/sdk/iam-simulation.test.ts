import { clientsOf, newUserOf, policyOf } from '@keyfleet/test-support/iam-client';
import { refusalOf } from '@keyfleet/test-support/sdk-client';
import { expect, test } from 'vitest';

const { iam } = clientsOf();
const account = '000000000000';
const listing = policyOf({ Action: 'kms:ListKeys' });

test('a simulation says what policies would decide, and why not', async () => {
  const UserName = 'simulated';
  const Condition = { StringEquals: { 'kms:EncryptionContext:tenant': 'a' } };
  await newUserOf(
    UserName,
    policyOf({ Action: 'kms:Encrypt', Condition }, { Effect: 'Deny', Action: 'kms:ScheduleKeyDeletion' }),
  );
  const decide = async (ActionNames: string[], tenant: string) => {
    const { EvaluationResults } = await iam.simulatePrincipalPolicy({
      PolicySourceArn: `arn:aws:iam::${account}:user/${UserName}`,
      ActionNames,
      ContextEntries: [
        { ContextKeyName: 'kms:EncryptionContext:tenant', ContextKeyValues: [tenant], ContextKeyType: 'string' },
      ],
    });
    return EvaluationResults!.map(({ EvalDecision }) => EvalDecision);
  };
  expect(await decide(['kms:Encrypt', 'kms:Decrypt', 'kms:ScheduleKeyDeletion'], 'a')).toEqual([
    'allowed',
    'implicitDeny',
    'explicitDeny',
  ]);
  expect(await decide(['kms:Encrypt'], 'b')).toEqual(['implicitDeny']);
  const custom = { PolicyInputList: [listing], ActionNames: ['kms:ListKeys'] };
  expect((await iam.simulateCustomPolicy(custom)).EvaluationResults).toMatchObject([{ EvalDecision: 'allowed' }]);
  const bounded = { ...custom, PermissionsBoundaryPolicyInputList: [policyOf({ Action: 'iam:*' })] };
  expect((await iam.simulateCustomPolicy(bounded)).EvaluationResults).toMatchObject([{ EvalDecision: 'implicitDeny' }]);
  const nobody = { PolicySourceArn: `arn:aws:iam::${account}:user/no-such-user`, ActionNames: ['kms:Encrypt'] };
  expect(await refusalOf(iam.simulatePrincipalPolicy(nobody))).toContain('NoSuchEntity');
});

test('a simulation names the statements that decided, and the condition keys that were not given', async () => {
  const allowed = policyOf({ Action: 'kms:Encrypt', Condition: { Bool: { 'aws:SecureTransport': 'true' } } });
  const custom = { PolicyInputList: [policyOf({ Effect: 'Deny', Action: 'kms:Decrypt' }), allowed] };
  const one = async (action: string, more: object = {}) => {
    const { EvaluationResults } = await iam.simulateCustomPolicy({ ...custom, ActionNames: [action], ...more });
    return EvaluationResults![0]!;
  };
  expect(await one('kms:Decrypt')).toMatchObject({
    MatchedStatements: [{ SourcePolicyId: 'PolicyInputList.1', StartPosition: { Line: 1, Column: 38 } }],
    MissingContextValues: ['aws:SecureTransport'],
  });
  expect((await one('kms:Encrypt')).MatchedStatements ?? []).toEqual([]);
  const ContextEntries = [{ ContextKeyName: 'aws:SecureTransport', ContextKeyValues: ['true'] }];
  const PermissionsBoundaryPolicyInputList = [listing];
  expect((await one('kms:Encrypt', { ContextEntries })).MatchedStatements).toMatchObject([
    { SourcePolicyId: 'PolicyInputList.2' },
  ]);
  expect(await one('kms:Encrypt', { ContextEntries, PermissionsBoundaryPolicyInputList })).toMatchObject({
    EvalDecision: 'implicitDeny',
    PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: false },
  });

  const UserName = 'simulated-in-group';
  const { kms: own } = await newUserOf(UserName, allowed);
  await iam.createGroup({ GroupName: 'deciders' });
  await iam.putGroupPolicy({ GroupName: 'deciders', PolicyName: 'own', PolicyDocument: listing });
  await iam.addUserToGroup({ GroupName: 'deciders', UserName });
  await own.listKeys({});
  const PolicySourceArn = `arn:aws:iam::${account}:user/${UserName}`;
  const { EvaluationResults } = await iam.simulatePrincipalPolicy({ PolicySourceArn, ActionNames: ['kms:ListKeys'] });
  expect(EvaluationResults![0]!.MatchedStatements).toMatchObject([{ SourcePolicyId: 'group_deciders_own' }]);
  expect((await iam.getContextKeysForPrincipalPolicy({ PolicySourceArn })).ContextKeyNames).toEqual([
    'aws:SecureTransport',
  ]);
  expect((await iam.getContextKeysForCustomPolicy(custom)).ContextKeyNames).toEqual(['aws:SecureTransport']);
  expect(await refusalOf(iam.getContextKeysForCustomPolicy({ PolicyInputList: ['{'] }))).toContain('InvalidInput');
});

test('a caller who may simulate the users of one path learns nothing of those of another', async () => {
  await newUserOf('chief', listing);
  const Resource = `arn:aws:iam::${account}:user/dev/*`;
  const { iam: own } = await newUserOf('simulator', policyOf({ Action: 'iam:SimulatePrincipalPolicy', Resource }));
  const PolicySourceArn = `arn:aws:iam::${account}:user/dev/chief`;
  expect(await refusalOf(own.simulatePrincipalPolicy({ PolicySourceArn, ActionNames: ['kms:ListKeys'] }))).toContain(
    'NoSuchEntity',
  );
});
