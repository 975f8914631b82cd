/** As AWS's console makes it, with two users (KMS Developer Guide, "Default key policy"). */
export function consolePolicyOf(id: number): string {
  const arn = (name: string) => `arn:aws:iam::111122223333:${name}`;
  const users = { AWS: ['reads', 'writes'].map((name) => arn(`role/tenant-${id}-${name}`)) };
  const allow = (Principal: object, Action: string | string[]) => ({
    Effect: 'Allow',
    Principal,
    Action,
    Resource: '*',
  });
  const administration = [
    ...['Create', 'Describe', 'Enable', 'List', 'Put', 'Update', 'Revoke', 'Disable', 'Get', 'Delete'].map(
      (verb) => `kms:${verb}*`,
    ),
    ...['TagResource', 'UntagResource', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'RotateKeyOnDemand'].map(
      (name) => `kms:${name}`,
    ),
  ];
  const use = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'];
  const attachments = allow(users, ['kms:CreateGrant', 'kms:ListGrants', 'kms:RevokeGrant']);
  return JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-consolepolicy-3',
    Statement: [
      allow({ AWS: arn('root') }, 'kms:*'),
      allow({ AWS: ['role/admin', 'user/anna'].map(arn) }, administration),
      allow(users, use),
      { ...attachments, Condition: { Bool: { 'kms:GrantIsForAWSResource': 'true' } } },
    ],
  });
}
