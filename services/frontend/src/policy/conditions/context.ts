/**
 * The request says several things at once, for example two keys of a context that differ only in case. The decision
 * then fails safe.
 */
export const undecidable = Symbol('undecidable');

/** Undefined if the request has no such key. A list is the value of a multivalued key and is never empty. */
export type ContextValue = string | readonly string[] | undefined | typeof undecidable;

/** What a request says about itself, one key at a time. Nothing is computed unless a policy asks for it. */
export interface RequestContext {
  /** `key` is in lower case: names of condition keys are case-insensitive. */
  find(key: string): ContextValue;
}
