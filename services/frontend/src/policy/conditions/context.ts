/**
 * The request says several things at once, as with two keys of a context that differ in case only: whoever decides is
 * on the safe side.
 */
export const undecidable = Symbol('undecidable');

/** undefined: the request has no such key. A list is of a key that can have several values, and never empty. */
export type ContextValue = string | readonly string[] | undefined | typeof undecidable;

/** What a request says of itself, one key at a time: nothing is worked out that no policy asks for. */
export interface RequestContext {
  /** `key`: in lower case, as names of condition keys are in any. */
  find(key: string): ContextValue;
}
