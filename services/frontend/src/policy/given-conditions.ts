import type { ConditionKey, ConditionKeys } from './condition-keys.ts';
import { type OperatorUse, parseOperator } from './conditions/condition.ts';
import { parseTemplate, variablesIn } from './conditions/patterns.ts';
import type { StatementShape } from './document.ts';
import { malformed } from './malformed.ts';

/** Where a condition is, and what is allowed there. */
export interface Place {
  readonly keys: Pick<ConditionKeys<never>, 'find'>;
  readonly kind: 'key policy' | 'identity policy';
  /** Whether `${...}` stands for a value from the request. */
  readonly variables: boolean;
}

/**
 * Throws MalformedPolicyDocumentException if any part of a condition would not do what its author means: an operator or
 * key that does not exist, a value that the operator does not take, a set where AWS compares nothing. Uses AWS's texts
 * where they are known.
 */
export function assertConditions(condition: StatementShape['Condition'] = {}, place: Place): void {
  const notPermitted = new Set<string>();
  for (const [name, keys] of Object.entries(condition)) {
    const use = parseOperator(name);
    if (use === undefined) throw malformed(`Invalid Condition type : ${name}.`);
    if (Object.keys(keys).length === 0) throw malformed('Syntax errors in policy.');
    for (const [key, values] of Object.entries(keys)) {
      const known = findKey(key, place);
      if (known) assertUse(name, use, known);
      if (known && !isPermitted(known, place)) notPermitted.add(known.name.replace(/[:/]$/, ''));
      assertValues(name, use, { values, place });
    }
  }
  if (notPermitted.size > 0) {
    throw malformed(`These condition keys are not permitted in a key policy: ${[...notPermitted].join(', ')}`);
  }
}

/** Throws MalformedPolicyDocumentException for a `${...}` that no request can have a value for. */
export function assertVariables(text: string, place: Place): void {
  if (!place.variables) {
    if (text.includes('${')) throw malformed('Policy variables need the policy version 2012-10-17.');
    return;
  }
  const parts = parseTemplate(text, { variables: true, wildcards: true });
  if (parts === undefined) throw malformed(`The policy variable in "${text}" is not well-formed.`);
  for (const { key } of variablesIn(parts)) {
    const known = findKey(key, place);
    if (known && (known.multivalued || !isPermitted(known, place))) {
      throw malformed(`The condition key ${known.name} cannot be used as a policy variable.`);
    }
  }
}

/** Undefined if the key is another service's, which no request to this one ever has. */
function findKey(name: string, { keys, kind }: Place): ConditionKey<never> | undefined {
  const found = keys.find(name);
  if (found) return found.key;
  if (!name.includes(':')) throw malformed(NO_VENDOR);
  if (kind === 'identity policy' && !/^(?:aws|kms):/i.test(name)) return undefined;
  throw malformed(`Policy contains a statement with one or more invalid condition keys: ${name}.`);
}

function isPermitted({ identityOnly }: ConditionKey<never>, { kind }: Place): boolean {
  return kind === 'identity policy' || identityOnly !== true;
}

function assertUse(name: string, { operator, set }: OperatorUse, key: ConditionKey<never>): void {
  if (operator === 'null') return;
  if (set === 'ForAllValues' && /^(?:kms:EncryptionContext:|aws:RequestTag\/)$/.test(key.name)) {
    throw malformed(OVERLY_PERMISSIVE);
  }
  if (set === undefined && key.multivalued) {
    throw malformed(`The condition key ${key.name} can have several values: use ForAllValues or ForAnyValue.`);
  }
  if (!fits(operator.type, key.type)) {
    throw malformed(`The condition operator ${name} cannot be used with the condition key ${key.name}.`);
  }
}

/** Every value can be compared as text. */
function fits(operator: ConditionKey<never>['type'], key: ConditionKey<never>['type']): boolean {
  if (operator === 'string' || operator === key) return true;
  if (operator === 'arn') return key === 'string';
  return key === 'epoch' && (operator === 'numeric' || operator === 'date');
}

interface Given {
  readonly values: readonly string[];
  readonly place: Place;
}

function assertValues(name: string, { operator }: OperatorUse, { values, place }: Given): void {
  if (values.length === 0) throw malformed('Syntax errors in policy.');
  for (const value of values) {
    if (operator === 'null') {
      if (!/^(?:true|false)$/i.test(value)) throw notTaken(name, value);
      continue;
    }
    assertVariables(value, place);
    if (!operator.takes(value, place.variables)) throw notTaken(name, value);
  }
}

function notTaken(operator: string, value: string) {
  return malformed(`The condition operator ${operator} does not take the value "${value}".`);
}

/** AWS's text. */
export const NO_VENDOR = 'Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.';

/** ForAllValues on a single-valued key would match requests that do not have the value at all. */
const OVERLY_PERMISSIVE =
  'OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified [encryption context or tag] or with an unspecified [encryption context or tag]. To fix, remove ForAllValues.';
