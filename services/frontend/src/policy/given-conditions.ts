import type { StatementShape } from './document.ts';
import { malformed } from './malformed.ts';

/** IAM JSON policy elements, "Condition operators". */
const operators = new Set(
  (
    'StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike NumericEquals ' +
    'NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan NumericGreaterThanEquals DateEquals DateNotEquals ' +
    'DateLessThan DateLessThanEquals DateGreaterThan DateGreaterThanEquals Bool BinaryEquals IpAddress NotIpAddress ArnEquals ' +
    'ArnLike ArnNotEquals ArnNotLike Null'
  ).split(' '),
);

/** Throws MalformedPolicyDocumentException for any condition, as none is evaluated in this release: first for those that AWS refuses too. */
export function assertConditions(condition: StatementShape['Condition'] = {}): void {
  const entries = Object.entries(condition);
  for (const [operator, keys] of entries) {
    const [, set, plain = ''] = /^(?:(ForAllValues|ForAnyValue):)?(.*?)(?:IfExists)?$/s.exec(operator) ?? [];
    if (!operators.has(plain)) throw malformed(`Invalid Condition type : ${operator}.`);
    if (set === 'ForAllValues' && Object.keys(keys).some(isSingleValued)) throw malformed(OVERLY_PERMISSIVE);
  }
  if (entries.length > 0) throw malformed('This release of Keyfleet evaluates no conditions: leave Condition out.');
}

function isSingleValued(key: string): boolean {
  return /^(?:kms:EncryptionContext:|aws:RequestTag\/)/i.test(key);
}

/** ForAllValues on a single-valued key would match requests that do not have the value at all. */
const OVERLY_PERMISSIVE =
  'OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified [encryption context or tag] or with an unspecified [encryption context or tag]. To fix, remove ForAllValues.';
