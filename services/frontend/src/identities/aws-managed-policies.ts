/**
 * A policy that AWS itself keeps in every account; only those that make sense here. The names, ids and documents are
 * AWS's.
 */
export interface AwsManagedPolicy {
  readonly name: string;
  readonly id: string;
  readonly document: string;
}

function allowing(...Action: string[]): string {
  const Statement = [{ Effect: 'Allow', Action: Action.length === 1 ? Action[0] : Action, Resource: '*' }];
  return JSON.stringify({ Version: '2012-10-17', Statement });
}

/** AWS Managed Policy Reference. */
const policies: readonly AwsManagedPolicy[] = [
  { name: 'AdministratorAccess', id: 'ANPAIWMBCKSKIEE64ZLYK', document: allowing('*') },
  { name: 'IAMFullAccess', id: 'ANPAI7XKCFMBPM3QQRRVQ', document: allowing('iam:*') },
  { name: 'IAMReadOnlyAccess', id: 'ANPAJKSO7NDY4T57MWDSQ', document: allowing('iam:Get*', 'iam:List*') },
  {
    name: 'AWSKeyManagementServicePowerUser',
    id: 'ANPAJNPP7PPPPMJRV2SA4',
    document: allowing(
      'kms:CreateAlias',
      'kms:CreateKey',
      'kms:DeleteAlias',
      'kms:Describe*',
      'kms:GenerateRandom',
      'kms:Get*',
      'kms:List*',
      'kms:TagResource',
      'kms:UntagResource',
      'iam:ListGroups',
      'iam:ListRoles',
      'iam:ListUsers',
    ),
  },
];

const byName = new Map(policies.map((policy) => [policy.name, policy]));

export function awsManagedPolicy(arn: string): AwsManagedPolicy | undefined {
  const [, name = ''] = /^arn:[^:]+:iam::aws:policy\/(.+)$/.exec(arn) ?? [];
  return byName.get(name);
}

export function awsManagedPolicies(): readonly AwsManagedPolicy[] {
  return policies;
}
