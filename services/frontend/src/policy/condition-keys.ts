import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { ContextValue, RequestContext } from './conditions/context.ts';
import type { ValueType } from './conditions/operators.ts';

/**
 * A condition key, or a family of keys whose name ends in `:` or `/` and continues as the policy chooses
 * (`aws:PrincipalTag/team`).
 */
export interface ConditionKey<F> {
  readonly name: string;
  /** `epoch`: seconds since the epoch, usable both as a number and as a date. */
  readonly type: ValueType | 'epoch';
  /** The key can have several values in one request and so needs a set operator. */
  readonly multivalued?: boolean;
  /** AWS accepts it only in identity policies. */
  readonly identityOnly?: boolean;
  /**
   * `rest`: what follows a family's name, in lower case. Without `value` no request has the key. The same holds in AWS
   * where there is no such thing: no VPC endpoint, no organization, no calling service.
   */
  readonly value?: (facts: F, rest: string) => ContextValue;
}

/** A key, and what follows its family's name. */
interface Found<F> {
  readonly key: ConditionKey<F>;
  readonly rest: string;
}

/** Caches names, which policies use again and again. */
const MAX_FOUND = 1_000;

/**
 * Which condition keys exist, and what each is in a request. Policies are both checked and evaluated against this one
 * list.
 */
export class ConditionKeys<F> {
  readonly #single = new Map<string, ConditionKey<F>>();
  readonly #found = new BoundedCache<Found<F>>({ maxWeight: MAX_FOUND });
  readonly #families: readonly (readonly [string, ConditionKey<F>])[];

  constructor(keys: readonly ConditionKey<F>[]) {
    for (const key of keys) if (!isFamily(key)) this.#single.set(key.name.toLowerCase(), key);
    this.#families = keys.filter(isFamily).map((key) => [key.name.toLowerCase(), key]);
  }

  /** Undefined if there is no such key. `name` may be in any case. */
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
