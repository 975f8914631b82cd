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
  /** Told how many steps each decision in this context cost. */
  readonly onCost?: (steps: number) => void;
}

/**
 * What one decision may cost, in steps: a step is a few nanoseconds' work, such as comparing two characters. Policies
 * and the values in a request both come from callers, and a decision holds the event loop until it is made. The largest
 * key policy asking about the largest encryption context stays far below this, unless it was written to cost much
 * (bench/micro/policy-worst.ts).
 */
export const MAX_STEPS = 1_000_000;

/** The decision costs more than `MAX_STEPS`. */
export class TooCostlyError extends Error {}

/** A request's context for one decision, which counts the decision's steps. */
export class MeteredContext implements RequestContext {
  readonly #context: RequestContext;
  readonly #limit: number;
  #spent = 0;

  constructor(context: RequestContext, limit = MAX_STEPS) {
    this.#context = context;
    this.#limit = limit;
  }

  get spent(): number {
    return this.#spent;
  }

  find(key: string): ContextValue {
    return this.#context.find(key);
  }

  /** Throws TooCostlyError when too much is spent. */
  spend(steps: number): void {
    this.#spent += steps;
    if (this.#spent > this.#limit) throw new TooCostlyError('a decision takes too many steps');
  }
}
