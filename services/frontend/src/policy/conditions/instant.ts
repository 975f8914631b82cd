/** W3C's profile of ISO 8601, from the year alone to fractions of a second; a day has no zone, a time must have one. */
const form =
  /^\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))?)?)?$/;

/** The milliseconds since the epoch of a date, or of seconds since the epoch; NaN for neither. */
export function parseInstant(text: string): number {
  if (form.test(text) && text.length !== 4) return Date.parse(text);
  // Four digits are a year: nobody means the first hours of 1970.
  if (/^\d{4}$/.test(text)) return Date.UTC(Number(text), 0);
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1_000 : Number.NaN;
}
