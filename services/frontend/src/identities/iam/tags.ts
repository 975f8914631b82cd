import { Arn, bearerName, bearerTitle, paging, TagKeys, Tags } from './fields.ts';
import type { IamTag, PolicyRecord, RoleRecord, UserRecord } from '../iam-records.ts';
import { QueryException } from '../query-exception.ts';
import { defineIam, type QueryOperation } from '../query-operation.ts';
import { IAM_QUOTAS } from '../quotas.ts';
import { tagsAnswer } from './answers.ts';
import { assertQuota, changeRecord } from './record-changes.ts';
import { pageAnswer, pageOfAll } from './pages.ts';

type Given = readonly { readonly Key: string; readonly Value: string }[];

/** Creating with tags also takes the permission to tag. */
export function alsoTagging(kind: 'user' | 'role' | 'policy'): NonNullable<QueryOperation['also']> {
  const action = `iam:Tag${kind[0]!.toUpperCase()}${kind.slice(1)}`;
  return ({ Tags: tags }) => (Array.isArray(tags) && tags.length > 0 ? [action] : []);
}

/** Throws InvalidInput for a key that is given twice or that only AWS may set. */
export function tagsGiven(given: Given = []): readonly IamTag[] {
  const keys = given.map(({ Key }) => Key.toLowerCase());
  if (new Set(keys).size < keys.length) {
    throw new QueryException(
      'InvalidInput',
      'Duplicate tag keys found. Please note that Tag keys are case insensitive.',
    );
  }
  if (keys.some((key) => key.startsWith('aws:'))) {
    throw new QueryException('InvalidInput', 'Tag keys that begin with aws: are reserved.');
  }
  return given.map(({ Key: key, Value: value }) => ({ key, value }));
}

/** An existing tag with the same key gets the new value. */
function merged(tags: readonly IamTag[], given: readonly IamTag[]): readonly IamTag[] {
  const replaced = new Set(given.map(({ key }) => key.toLowerCase()));
  const all = [...tags.filter(({ key }) => !replaced.has(key.toLowerCase())), ...given];
  assertQuota(all.length, IAM_QUOTAS.tags, 'TagsPerResource');
  return all;
}

type TaggedRecord = UserRecord | RoleRecord | PolicyRecord;

const taggedName = { user: bearerName.user, role: bearerName.role, policy: { PolicyArn: Arn } };
const taggedTitle = { user: bearerTitle.user, role: bearerTitle.role, policy: 'Policy' };

function operationsOf(kind: keyof typeof taggedName): QueryOperation[] {
  // The three have one member, of three names.
  const [title, name] = [taggedTitle[kind], taggedName[kind] as (typeof taggedName)['user']];
  const target = { kind, as: 'named' } as const;
  return [
    defineIam({
      name: `Tag${title}`,
      readOnly: false,
      target,
      input: { ...name, Tags },
      run: ({ input, record }, deps) =>
        changeRecord<TaggedRecord>(deps, record, { tags: merged(record.tags, tagsGiven(input.Tags)) }),
    }),
    defineIam({
      name: `Untag${title}`,
      readOnly: false,
      target,
      input: { ...name, TagKeys },
      run({ input, record }, deps) {
        const gone = new Set(input.TagKeys.map((key) => key.toLowerCase()));
        const tags = record.tags.filter(({ key }) => !gone.has(key.toLowerCase()));
        return changeRecord<TaggedRecord>(deps, record, { tags });
      },
    }),
    defineIam({
      name: `List${title}Tags`,
      readOnly: true,
      target,
      input: { ...name, ...paging },
      run: ({ input, call, record }, deps) =>
        pageAnswer(
          input,
          { operation: `List${title}Tags`, filter: record.id, list: pageOfAll(record.tags, ({ key }) => key) },
          { call, deps, named: (tags) => ({ Tags: tagsAnswer(tags) }) },
        ),
    }),
  ];
}

export const tagOperations = [...operationsOf('user'), ...operationsOf('role'), ...operationsOf('policy')];
