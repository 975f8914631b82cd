/** Ten million fields that somebody put into Redis must not fill memory. */
const MOST_KEPT = 10_000;
const MOST_NAMED = 20;

/** Keeps what people are told of, up to a number of things. */
export function keptIn(told: string[]): (what: string) => void {
  return (what) => {
    if (told.length < MOST_KEPT) told.push(what);
    else told[MOST_KEPT] = 'and more';
  };
}

/** Lines for people; none if nothing was. */
export function leftOutText(leftOut: readonly string[]): string[] {
  if (leftOut.length === 0) return [];
  const more = leftOut.length > MOST_NAMED ? [`${leftOut.length - MOST_NAMED} more`] : [];
  return [
    `${leftOut.length} were left out, because no service wrote them so:`,
    ...leftOut.slice(0, MOST_NAMED),
    ...more,
  ];
}
