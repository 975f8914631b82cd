import type { IamRecord, RecordOf } from '../iam-records.ts';
import { defineIam, type IamDeps, type QueryOperation } from '../query-operation.ts';
import { type Bearer, bearerTitle, paging, PathPrefix } from './fields.ts';
import { pageAnswer } from './pages.ts';

/** ListUsers, ListRoles and ListGroups: those of an account whose path begins as asked, in the order of their names. */
export function listByPath<K extends Bearer>(
  kind: K,
  answer: (record: RecordOf<K>, deps: IamDeps) => object | Promise<object>,
): QueryOperation {
  const member = `${bearerTitle[kind]}s`;
  const operation = `List${member}`;
  return defineIam({
    name: operation,
    readOnly: true,
    target: { kind, as: 'listed' },
    input: { PathPrefix: PathPrefix.optional(), ...paging },
    run: ({ input, call }, deps) =>
      pageAnswer(
        input,
        {
          operation,
          filter: input.PathPrefix,
          list: (limit, after) => deps.iam.list(call.caller.accountId, kind, limit, after),
        },
        {
          call,
          deps,
          async named(records) {
            const wanted = records.filter(({ path }: Pick<IamRecord, 'path'>) =>
              path.startsWith(input.PathPrefix ?? '/'),
            );
            return { [member]: await Promise.all(wanted.map(async (record) => answer(record, deps))) };
          },
        },
      ),
  });
}
