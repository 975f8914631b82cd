import { z } from 'zod';

/** The kinds of an account's IAM records: its identities and its managed policies. */
export type IamKind = 'user' | 'role' | 'group' | 'policy';

/** A record's field among its account's. IAM preserves case but ignores it. */
export function iamFieldOf(kind: IamKind, name: string): string {
  return `${kind}/${name.toLowerCase()}`;
}

const Name = z.string().max(128);
const Arn = z.string().max(2048);
/** Many times as many as IAM's quotas allow. A record of a megabyte could else have links of many gigabytes. */
const MOST = 100;

/** The members that links are derived from; only frontends know the rest of a record. */
const Linking = z.object({
  kind: z.enum(['user', 'role', 'group', 'policy']),
  name: Name,
  attached: z.array(Arn).max(MOST).optional(),
  boundary: Arn.optional(),
  groups: z.array(Name).max(MOST).optional(),
  accessKeys: z
    .array(z.object({ accessKeyId: Name }))
    .max(MOST)
    .optional(),
});

/**
 * What a record refers to: `<how>/<to what>/<who>`, as `attached/policy/readers/user/alice`. A record that others refer
 * to cannot be removed; the links that begin with it list them. Access keys are not IAM records: their links lead to
 * the user. Throws ZodError if this is not a record.
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

/** The prefix of links from an access key's user. */
export function accessKeyLinkOf(accessKeyId: string): string {
  return `key/access-key/${accessKeyId}/`;
}

function linkTo(how: string, to: string, from: string): string {
  return `${how}/${to}/${from}`;
}

/**
 * The field of a managed policy, by its ARN: its name is unique whatever its path. AWS's own policies have no record,
 * but a place among them.
 */
export function policyFieldOf(arn: string): string {
  const name = arn.slice(arn.lastIndexOf('/') + 1);
  return isAwsManaged(arn) ? `aws-policy/${name.toLowerCase()}` : iamFieldOf('policy', name);
}

export function isAwsManaged(arn: string): boolean {
  return /^arn:[^:]+:iam::aws:policy\//.test(arn);
}
