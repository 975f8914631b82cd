import { isSamePolicy } from '../identity.ts';
import { QueryException } from '../query-exception.ts';
import { defineIam, type QueryOperation } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';
import type { GroupRecord, RoleRecord, UserRecord } from '../iam-records.ts';
import { assertBoundary, findPolicy, noSuch } from '../targets.ts';
import { attachedAnswer } from './answers.ts';
import { assertQuota, changeRecord } from './record-changes.ts';
import { Arn, type Bearer, bearerName, bearerTitle, paging, PathPrefix } from './fields.ts';
import { pageAnswer, pageOfAll } from './pages.ts';

type BearerRecord = UserRecord | RoleRecord | GroupRecord;

function operationsOf(kind: Bearer): QueryOperation[] {
  const title = bearerTitle[kind];
  // The three have one member under three names.
  const name = bearerName[kind] as (typeof bearerName)['user'];
  const target = { kind, as: 'named' } as const;
  return [
    defineIam({
      name: `Attach${title}Policy`,
      readOnly: false,
      target,
      input: { ...name, PolicyArn: Arn },
      async run({ input: { PolicyArn: arn }, record }, deps) {
        if ((await findPolicy(deps, record.accountId, arn)) === undefined) throw noSuch('policy', arn);
        if (record.attached.some((other) => isSamePolicy(other, arn))) return;
        const attached = [...record.attached, arn];
        assertQuota(attached.length, IAM_QUOTAS.attachedPolicies, `PoliciesPer${title}`);
        await changeRecord<BearerRecord>(deps, record, { attached });
      },
    }),
    defineIam({
      name: `Detach${title}Policy`,
      readOnly: false,
      target,
      input: { ...name, PolicyArn: Arn },
      async run({ input: { PolicyArn: arn }, record }, deps) {
        const attached = record.attached.filter((other) => other !== arn);
        if (attached.length === record.attached.length) {
          throw new QueryException('NoSuchEntity', `Policy ${arn} was not found.`);
        }
        await changeRecord<BearerRecord>(deps, record, { attached });
      },
    }),
    defineIam({
      name: `ListAttached${title}Policies`,
      readOnly: true,
      target,
      input: { ...name, PathPrefix: PathPrefix.optional(), ...paging },
      run({ input, call, record }, deps) {
        const wanted = record.attached.filter((arn) => pathOf(arn).startsWith(input.PathPrefix ?? '/'));
        return pageAnswer(
          input,
          {
            operation: `ListAttached${title}Policies`,
            filter: `${record.id} ${input.PathPrefix}`,
            list: pageOfAll(wanted, (arn) => arn),
          },
          {
            call,
            deps,
            named: (arns) => ({
              AttachedPolicies: arns.map(attachedAnswer),
            }),
          },
        );
      },
    }),
  ];
}

/** With slashes at both ends. */
function pathOf(arn: string): string {
  return /:policy(\/(?:.+\/)?)[^/]+$/.exec(arn)?.[1] ?? '/';
}

function boundaryOperationsOf(kind: 'user' | 'role'): QueryOperation[] {
  const title = bearerTitle[kind];
  const name = bearerName[kind] as (typeof bearerName)['user'];
  const target = { kind, as: 'named' } as const;
  return [
    defineIam({
      name: `Put${title}PermissionsBoundary`,
      readOnly: false,
      target,
      input: { ...name, PermissionsBoundary: Arn },
      async run({ input: { PermissionsBoundary: boundary }, record }, deps) {
        await assertBoundary(deps, record.accountId, boundary);
        await changeRecord<UserRecord | RoleRecord>(deps, record, { boundary });
      },
    }),
    defineIam({
      name: `Delete${title}PermissionsBoundary`,
      readOnly: false,
      target,
      input: name,
      async run({ record }, deps) {
        const { boundary, ...unbounded } = record;
        if (boundary === undefined) {
          throw new QueryException('NoSuchEntity', `The ${kind} ${record.name} has no permissions boundary.`);
        }
        await deps.iam.update({ before: record, record: unbounded as UserRecord | RoleRecord });
      },
    }),
  ];
}

export const attachmentOperations = [
  ...operationsOf('user'),
  ...operationsOf('role'),
  ...operationsOf('group'),
  ...boundaryOperationsOf('user'),
  ...boundaryOperationsOf('role'),
];
