import type { GroupRecord, RoleRecord, UserRecord } from '../iam-records.ts';
import { defineIam, type QueryOperation } from '../query-operation.ts';
import { partOf } from '../targets.ts';
import { encodeDocument } from './answers.ts';
import { changeRecord } from './record-changes.ts';
import { assertIdentityPolicy, assertInlineLength } from './documents.ts';
import { type Bearer, bearerName, bearerTitle, paging, PolicyDocument, PolicyName } from './fields.ts';
import { pageAnswer, pageOfAll } from './pages.ts';

type BearerRecord = UserRecord | RoleRecord | GroupRecord;

function findInline({ kind, inline }: BearerRecord, name: string) {
  return partOf(inline, (policy) => policy.name === name, `The ${kind} policy with name ${name} cannot be found.`);
}

/** PutUserPolicy and its family: policies stored in the record of their user, role or group. */
function operationsOf(kind: Bearer): QueryOperation[] {
  const title = bearerTitle[kind];
  // The three have one member under three names.
  const name = bearerName[kind] as (typeof bearerName)['user'];
  const [member] = Object.keys(name) as [string];
  const target = { kind, as: 'named' } as const;
  return [
    defineIam({
      name: `Put${title}Policy`,
      readOnly: false,
      target,
      input: { ...name, PolicyName, PolicyDocument },
      async run({ input: { PolicyName: policyName, PolicyDocument: document }, record }, deps) {
        const others = record.inline.filter((policy) => policy.name !== policyName);
        const inline = [...others, { name: policyName, document }];
        assertInlineLength(
          kind,
          record.name,
          inline.map((policy) => policy.document),
        );
        assertIdentityPolicy(document);
        await changeRecord<BearerRecord>(deps, record, { inline });
      },
    }),
    defineIam({
      name: `Get${title}Policy`,
      readOnly: true,
      target,
      input: { ...name, PolicyName },
      async run({ input, record }) {
        const { name: policyName, document } = findInline(record, input.PolicyName);
        return { [member]: record.name, PolicyName: policyName, PolicyDocument: encodeDocument(document) };
      },
    }),
    defineIam({
      name: `Delete${title}Policy`,
      readOnly: false,
      target,
      input: { ...name, PolicyName },
      async run({ input, record }, deps) {
        const gone = findInline(record, input.PolicyName);
        await changeRecord<BearerRecord>(deps, record, { inline: record.inline.filter((policy) => policy !== gone) });
      },
    }),
    defineIam({
      name: `List${title}Policies`,
      readOnly: true,
      target,
      input: { ...name, ...paging },
      run({ input, call, record }, deps) {
        const names = record.inline.map((policy) => policy.name).toSorted();
        return pageAnswer(
          input,
          { operation: `List${title}Policies`, filter: record.id, list: pageOfAll(names, (policy) => policy) },
          { call, deps, named: (PolicyNames) => ({ PolicyNames }) },
        );
      },
    }),
  ];
}

export const inlinePolicyOperations = [...operationsOf('user'), ...operationsOf('role'), ...operationsOf('group')];
