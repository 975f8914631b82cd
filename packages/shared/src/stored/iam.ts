import { z } from 'zod';

/** What an account's identities and their policies are recorded as. A managed policy is one of them. */
export type IamKind = 'user' | 'role' | 'group' | 'policy';

/** A record's place among its account's. IAM keeps case and ignores it. */
export function iamFieldOf(kind: IamKind, name: string): string {
  return `${kind}/${name.toLowerCase()}`;
}

/** What links are derived from; the rest of a record is the frontends'. */
const Linking = z.object({
  kind: z.enum(['user', 'role', 'group', 'policy']),
  name: z.string(),
  attached: z.array(z.string()).optional(),
  boundary: z.string().optional(),
  groups: z.array(z.string()).optional(),
  accessKeys: z.array(z.object({ accessKeyId: z.string() })).optional(),
});

/**
 * To what a record refers: `<how>/<to what>/<who>`, as `attached/policy/readers/user/alice`. A record that others refer
 * to cannot be removed, and the links that begin with it list them. Access keys are no records of IAM: their links find
 * the user. Throws ZodError for what is no record.
 */
export function iamLinksOf(record: unknown): readonly string[] {
  const { kind, name, attached = [], boundary, groups = [], accessKeys = [] } = Linking.parse(record);
  const from = iamFieldOf(kind, name);
  return [
    ...attached.map((arn) => linkTo('attached', policyFieldOf(arn), from)),
    ...(boundary === undefined ? [] : [linkTo('boundary', policyFieldOf(boundary), from)]),
    ...groups.map((group) => linkTo('member', iamFieldOf('group', group), from)),
    ...accessKeys.map(({ accessKeyId }) => linkTo('key', `access-key/${accessKeyId}`, from)),
  ];
}

/** Links from an access key's user begin so. */
export function accessKeyLinkOf(accessKeyId: string): string {
  return `key/access-key/${accessKeyId}/`;
}

function linkTo(how: string, to: string, from: string): string {
  return `${how}/${to}/${from}`;
}

/**
 * Of a managed policy, by its ARN: its name is unique whatever its path. A policy of AWS's own is nobody's record, and
 * has a place beside them.
 */
export function policyFieldOf(arn: string): string {
  const name = arn.slice(arn.lastIndexOf('/') + 1);
  return isAwsManaged(arn) ? `aws-policy/${name.toLowerCase()}` : iamFieldOf('policy', name);
}

export function isAwsManaged(arn: string): boolean {
  return /^arn:[^:]+:iam::aws:policy\//.test(arn);
}
