import { choice } from '@keyfleet/shared/api/shape';
import { fewAtOnce } from '@keyfleet/shared/few-at-once';
import { RECORDS_AT_ONCE, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { policyFieldOf } from '@keyfleet/shared/stored/iam';
import { identityArn } from '../callers.ts';
import type { IamRecord, PolicyRecord } from '../iam-records.ts';
import { defineIam, type IamDeps } from '../query-operation.ts';
import type { PolicyCounts } from './answers.ts';
import { Arn, paging, PathPrefix } from './fields.ts';
import { pageAnswer, pageOfAll } from './pages.ts';

export const PolicyUsage = choice(['PermissionsPolicy', 'PermissionsBoundary']);

/** What a link to a policy is called (stored/iam.ts). */
const linkOf = { PermissionsPolicy: 'attached', PermissionsBoundary: 'boundary' } as const;

/** More than can refer to a policy in an account. */
const ALL = 10_000;
/** Somebody may have put links there of 8 KB each. */
const LINKS_AT_ONCE = 1_000;

/** What every link from a record that uses the policy begins with. */
function prefixOf(policy: PolicyRecord, usage: keyof typeof linkOf, { partition }: Pick<IamDeps, 'partition'>): string {
  return `${linkOf[usage]}/${policyFieldOf(identityArn(partition, policy))}/`;
}

export async function countsOf(policy: PolicyRecord, accountId: string, deps: IamDeps): Promise<PolicyCounts> {
  const [attachments, boundaries] = await Promise.all([
    deps.iam.countLinks(accountId, prefixOf(policy, 'PermissionsPolicy', deps)),
    deps.iam.countLinks(accountId, prefixOf(policy, 'PermissionsBoundary', deps)),
  ]);
  return { attachments, boundaries };
}

export const listEntitiesForPolicy = defineIam({
  name: 'ListEntitiesForPolicy',
  readOnly: true,
  target: { kind: 'policy', as: 'named' },
  input: {
    PolicyArn: Arn,
    EntityFilter: choice(['User', 'Role', 'Group', 'LocalManagedPolicy', 'AWSManagedPolicy']).optional(),
    PathPrefix: PathPrefix.optional(),
    PolicyUsageFilter: PolicyUsage.optional(),
    ...paging,
  },
  async run({ input, call, record }, deps) {
    const { EntityFilter: only, PathPrefix: pathPrefix = '/', PolicyUsageFilter: usage } = input;
    const { accountId } = call.caller;
    const usages = usage === undefined ? (['PermissionsPolicy', 'PermissionsBoundary'] as const) : [usage];
    const found: string[] = [];
    for (const one of usages) found.push(...(await allLinks(deps.iam, accountId, prefixOf(record, one, deps))));
    const isWanted = (field: string): boolean => only === undefined || field.startsWith(`${only.toLowerCase()}/`);
    const fields = [...new Set(found)].filter(isWanted).toSorted();
    return pageAnswer(
      input,
      {
        operation: 'ListEntitiesForPolicy',
        filter: JSON.stringify([record.id, only, pathPrefix, usage]),
        async list(limit, after) {
          const { items, ...rest } = await pageOfAll(fields, (field) => field)(limit, after);
          const records = await fewAtOnce(items, RECORDS_AT_ONCE, (field) => recordAt(field, accountId, deps));
          return { items: records.filter((one) => one?.path.startsWith(pathPrefix) === true), ...rest };
        },
      },
      { call, deps, named: entitiesAnswer },
    );
  },
});

async function allLinks(iam: IamDeps['iam'], accountId: string, prefix: string): Promise<readonly string[]> {
  const found: string[] = [];
  let after: string | undefined;
  do {
    const { items, next } = await iam.listLinks(accountId, prefix, LINKS_AT_ONCE, after);
    found.push(...items);
    after = next;
  } while (after !== undefined && found.length < ALL);
  return found;
}

/** What is not authentic is nobody, and hides none of the others. */
async function recordAt(
  field: string,
  accountId: string,
  { iam }: Pick<IamDeps, 'iam'>,
): Promise<IamRecord | undefined> {
  const [kind, name = ''] = field.split('/');
  return iam.find(accountId, kind as 'user' | 'role' | 'group', name).catch(unlessDamaged);
}

function entitiesAnswer(records: readonly (IamRecord | undefined)[]): object {
  const of = (kind: IamRecord['kind'], title: string): object[] =>
    records.flatMap((one) => (one?.kind === kind ? [{ [`${title}Name`]: one.name, [`${title}Id`]: one.id }] : []));
  return { PolicyGroups: of('group', 'Group'), PolicyUsers: of('user', 'User'), PolicyRoles: of('role', 'Role') };
}
