/** Ten million fields that somebody put into Redis must not fill memory. */
const MOST_KEPT = 10_000;
const MOST_NAMED = 20;

/** Called with what is left out, and why. */
export type LeaveOut = (what: string) => void;

/** Keeps what people are told of, up to a number of things. */
export function keptIn(told: string[]): LeaveOut {
  return (what) => {
    if (told.length < MOST_KEPT) told.push(what);
    else told[MOST_KEPT] = 'and more';
  };
}

/** The first of these, and how many more there are; `hint`: where to find those. */
export function firstOf(told: readonly string[], hint = ''): string[] {
  const more = told.length > MOST_NAMED ? [`${told.length - MOST_NAMED} more${hint}`] : [];
  return [...told.slice(0, MOST_NAMED), ...more];
}

/** Lines for people; none if nothing was. */
export function leftOutText(leftOut: readonly string[]): string[] {
  if (leftOut.length === 0) return [];
  return [`${leftOut.length} were left out, because no service wrote them so:`, ...firstOf(leftOut)];
}
