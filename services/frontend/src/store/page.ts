import type { Page } from './store.ts';

/** A page of items that are all in memory, ordered by name. */
export function pageOf<T>(
  items: readonly T[],
  { nameOf, limit, after }: { nameOf: (item: T) => string; limit: number; after: string },
): Page<T> {
  const rest = items.filter((item) => nameOf(item) > after).toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return rest.length > limit && last !== undefined ? { items: page, next: nameOf(last) } : { items: page };
}
