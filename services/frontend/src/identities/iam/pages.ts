import type { Call } from '../../operations/handler.ts';
import type { Page } from '../../store/store.ts';
import type { IamDeps } from '../query-operation.ts';

interface Paging {
  readonly Marker?: string | undefined;
  readonly MaxItems?: number | undefined;
}

const DEFAULT_ITEMS = 100;

interface Listing<T> {
  readonly operation: string;
  /** Any other filter on the list. */
  readonly filter?: string | undefined;
  readonly list: (limit: number, after: string | undefined) => Promise<Page<T>>;
}

/** One page of a list in IAM's form, with its items under `named`. A marker is valid only for its own list. */
export async function pageAnswer<T>(
  { Marker, MaxItems = DEFAULT_ITEMS }: Paging,
  { operation, filter, list }: Listing<T>,
  {
    call,
    deps,
    named,
  }: { call: Call; deps: Pick<IamDeps, 'markers'>; named: (items: readonly T[]) => object | Promise<object> },
): Promise<object> {
  const { accountId } = call.caller;
  const scope = { operation: `iam:${operation}`, accountId, region: '', ...(filter !== undefined && { filter }) };
  const after = Marker === undefined ? undefined : await deps.markers.open(scope, Marker, call.deadline);
  const { items, next } = await list(MaxItems, after);
  return {
    ...(await named(items)),
    IsTruncated: next !== undefined,
    Marker: next === undefined ? undefined : await deps.markers.seal(scope, next, call.deadline),
  };
}

/** A page of items that are all in memory, in their own order. */
export function pageOfAll<T>(all: readonly T[], nameOf: (item: T) => string) {
  return async (limit: number, after: string | undefined): Promise<Page<T>> => {
    const from = after === undefined ? 0 : all.findIndex((item) => nameOf(item) === after) + 1;
    const items = all.slice(from, from + limit);
    const last = items.at(-1);
    return from + limit < all.length && last !== undefined ? { items, next: nameOf(last) } : { items };
  };
}

/**
 * One list after another as one list, by name. A position in it is the name of the list, a slash, and the position
 * there.
 */
export function chained<T>(lists: Readonly<Record<string, Listing<T>['list']>>): Listing<T>['list'] {
  const names = Object.keys(lists);
  return async (limit, after = `${names[0]}/`) => {
    const slash = after.indexOf('/');
    let within = after.slice(slash + 1) || undefined;
    const items: T[] = [];
    for (const name of names.slice(names.indexOf(after.slice(0, slash)))) {
      if (items.length === limit) return { items, next: `${name}/` };
      const page = await lists[name]!(limit - items.length, within);
      within = undefined;
      items.push(...page.items);
      if (page.next !== undefined) return { items, next: `${name}/${page.next}` };
    }
    return { items };
  };
}
