import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import { type ContextValue, type RequestContext, undecidable } from './conditions/context.ts';
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
   * Without `value` or `pairs` no request has the key. The same holds in AWS where there is no such thing: no VPC
   * endpoint, no organization, no calling service.
   */
  readonly value?: (facts: F) => ContextValue;
  /** For a family: its values by what follows its name, in any case. */
  readonly pairs?: (facts: F) => Iterable<readonly [name: string, value: string]>;
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
    return new FactsContext(facts, (name) => this.#find(name));
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

/** Works out each value once: a policy can ask for the same one in every line. */
class FactsContext<F> implements RequestContext {
  readonly #facts: F;
  readonly #find: (name: string) => Found<F> | undefined;
  readonly #values = new Map<string, ContextValue>();
  readonly #families = new Map<ConditionKey<F>, ReadonlyMap<string, ContextValue>>();

  constructor(facts: F, find: (name: string) => Found<F> | undefined) {
    this.#facts = facts;
    this.#find = find;
  }

  find(name: string): ContextValue {
    if (this.#values.has(name)) return this.#values.get(name);
    const value = this.#valueOf(this.#find(name));
    this.#values.set(name, value);
    return value;
  }

  #valueOf(found: Found<F> | undefined): ContextValue {
    if (found?.key.pairs) return this.#family(found.key, found.key.pairs).get(found.rest);
    const value = found?.key.value?.(this.#facts);
    return Array.isArray(value) && value.length === 0 ? undefined : value;
  }

  #family(key: ConditionKey<F>, pairs: NonNullable<ConditionKey<F>['pairs']>): ReadonlyMap<string, ContextValue> {
    const known = this.#families.get(key);
    if (known) return known;
    const values = byName(pairs(this.#facts));
    this.#families.set(key, values);
    return values;
  }
}

/**
 * By name in lower case. AWS advises against names that differ only in case; if two such have different values, it is
 * undecidable which is meant.
 */
function byName(pairs: Iterable<readonly [name: string, value: string]>): ReadonlyMap<string, ContextValue> {
  const values = new Map<string, ContextValue>();
  for (const [name, value] of pairs) {
    const key = name.toLowerCase();
    values.set(key, values.has(key) && values.get(key) !== value ? undecidable : value);
  }
  return values;
}

function isFamily({ name }: { readonly name: string }): boolean {
  return /[:/]$/.test(name);
}
