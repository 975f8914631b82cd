import { type MeteredContext, undecidable } from './context.ts';
import { type Comparison, type Operator, operators } from './operators.ts';
import { variablesOf } from './patterns.ts';

/** A policy's Condition: values by key by operator. */
export type ConditionShape = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

export type Effect = 'Allow' | 'Deny';

/**
 * Whether a statement's Condition is fulfilled. An undecidable condition fails safe: an Allow does not apply, a Deny
 * does.
 */
export type Condition = (context: MeteredContext, effect: Effect) => boolean;

/** An operator with its prefix and suffix: `ForAnyValue:StringLikeIfExists`. */
export interface OperatorUse {
  readonly set: 'ForAllValues' | 'ForAnyValue' | undefined;
  readonly ifExists: boolean;
  /** `null`: asks whether the request has the key. */
  readonly operator: Operator | 'null';
}

/** Undefined if there is no such operator. */
export function parseOperator(name: string): OperatorUse | undefined {
  const [, set, plain = '', ifExists] = /^(?:(ForAllValues|ForAnyValue):)?(.*?)(IfExists)?$/s.exec(name) ?? [];
  if (plain === 'Null') {
    return set === undefined && ifExists === undefined
      ? { set: undefined, ifExists: false, operator: 'null' }
      : undefined;
  }
  const operator = operators.get(plain);
  return operator && { set: set as OperatorUse['set'], ifExists: ifExists !== undefined, operator };
}

/** All parts must hold. An unknown operator, or a value that the operator does not take, is undecidable. */
export function compileCondition(shape: ConditionShape, variables: boolean): Condition {
  const tests = Object.entries(shape).flatMap(([name, keys]) => {
    const use = parseOperator(name);
    return Object.entries(keys).map(([key, values]) => compileTest(use, key.toLowerCase(), { values, variables }));
  });
  return (context, effect) => tests.every((test) => test(context, effect));
}

/** The keys that a Condition asks for, in lower case, including those in its variables. */
export function keysOf(shape: ConditionShape, variables: boolean): string[] {
  return Object.values(shape).flatMap((keys) =>
    Object.entries(keys).flatMap(([key, values]) => [
      key.toLowerCase(),
      ...values.flatMap((value) => variablesOf(value, variables).map((variable) => variable.key)),
    ]),
  );
}

interface Listed {
  readonly values: readonly string[];
  readonly variables: boolean;
}

function compileTest(use: OperatorUse | undefined, key: string, { values, variables }: Listed): Condition {
  if (use === undefined) return onTheSafeSide;
  const { operator } = use;
  if (operator === 'null') return compileNull(key, values);
  if (!values.every((value) => operator.takes(value, variables))) return onTheSafeSide;
  const compare = operator.compile(values, variables);
  const one = (value: string, context: MeteredContext, effect: Effect): boolean => {
    const isListed: ReturnType<Comparison> = compare(value, context);
    return isListed === undefined ? effect === 'Deny' : isListed !== operator.negated;
  };
  return (context, effect) => {
    const value = context.find(key);
    if (value === undefined) return isTrueOfNothing(use, operator);
    if (value === undecidable) return effect === 'Deny';
    if (use.set === undefined) return typeof value === 'string' ? one(value, context, effect) : effect === 'Deny';
    if (typeof value === 'string') return one(value, context, effect);
    return use.set === 'ForAllValues'
      ? value.every((each) => one(each, context, effect))
      : value.some((each) => one(each, context, effect));
  };
}

function isTrueOfNothing({ set, ifExists }: OperatorUse, { negated }: Operator): boolean {
  if (ifExists || set === 'ForAllValues') return true;
  return set === undefined && negated;
}

function compileNull(key: string, values: readonly string[]): Condition {
  const absent = values.map((value) => value.toLowerCase() === 'true');
  if (!values.every((value) => /^(?:true|false)$/i.test(value))) return onTheSafeSide;
  return (context, effect) => {
    const value = context.find(key);
    return value === undecidable ? effect === 'Deny' : absent.includes(value === undefined);
  };
}

function onTheSafeSide(_: MeteredContext, effect: Effect): boolean {
  return effect === 'Deny';
}
