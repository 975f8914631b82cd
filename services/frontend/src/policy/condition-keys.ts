import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { ContextValue, RequestContext } from './conditions/context.ts';
import type { ValueType } from './conditions/operators.ts';

/**
 * A condition key, or a family of them whose name ends in `:` or `/` and goes on as the policy likes
 * (`aws:PrincipalTag/team`).
 */
export interface ConditionKey<F> {
  readonly name: string;
  /** `epoch`: seconds since the epoch, which are a number and a date. */
  readonly type: ValueType | 'epoch';
  /** It can have several values in one request, so that it needs a set operator. */
  readonly multivalued?: boolean;
  /** AWS takes it in identity policies only. */
  readonly identityOnly?: boolean;
  /**
   * `rest`: what follows a family's name, in lower case. Without it no request has the key, here as in AWS where there
   * is no such thing: no VPC endpoint, no organization, no service that calls.
   */
  readonly value?: (facts: F, rest: string) => ContextValue;
}

/** A key, and what follows the name of its family. */
interface Found<F> {
  readonly key: ConditionKey<F>;
  readonly rest: string;
}

/** Names that policies use again and again. */
const MAX_FOUND = 1_000;

/**
 * Which condition keys there are, and what each is in a request: the one list that policies are checked against and
 * decided by.
 */
export class ConditionKeys<F> {
  readonly #single = new Map<string, ConditionKey<F>>();
  readonly #found = new BoundedCache<Found<F>>({ maxWeight: MAX_FOUND });
  readonly #families: readonly (readonly [string, ConditionKey<F>])[];

  constructor(keys: readonly ConditionKey<F>[]) {
    for (const key of keys) if (!isFamily(key)) this.#single.set(key.name.toLowerCase(), key);
    this.#families = keys.filter(isFamily).map((key) => [key.name.toLowerCase(), key]);
  }

  /** undefined: there is no such key. `name`: in any case. */
  find(name: string): Found<F> | undefined {
    return this.#find(name.toLowerCase());
  }

  contextOf(facts: F): RequestContext {
    return {
      find: (name) => {
        const found = this.#find(name);
        const value = found?.key.value?.(facts, found.rest);
        return Array.isArray(value) && value.length === 0 ? undefined : value;
      },
    };
  }

  #find(name: string): Found<F> | undefined {
    const known = this.#found.get(name);
    if (known) return known;
    const found = this.#search(name);
    if (found) this.#found.set(name, found);
    return found;
  }

  #search(name: string): Found<F> | undefined {
    const single = this.#single.get(name);
    if (single) return { key: single, rest: '' };
    const family = this.#families.find(([prefix]) => name.length > prefix.length && name.startsWith(prefix));
    return family && { key: family[1], rest: name.slice(family[0].length) };
  }
}

function isFamily({ name }: { readonly name: string }): boolean {
  return /[:/]$/.test(name);
}
