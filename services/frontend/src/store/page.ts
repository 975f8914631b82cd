import type { Page } from './store.ts';

/** A page of what is all in memory, in the order of names. */
export function pageOf<T>(
  items: readonly T[],
  { nameOf, limit, after }: { nameOf: (item: T) => string; limit: number; after: string },
): Page<T> {
  const rest = items.filter((item) => nameOf(item) > after).toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return rest.length > limit && last !== undefined ? { items: page, next: nameOf(last) } : { items: page };
}
