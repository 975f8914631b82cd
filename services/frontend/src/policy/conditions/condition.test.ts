import { expect, test } from 'vitest';
import { compileCondition, type ConditionShape } from './condition.ts';
import { type ContextValue, MeteredContext, undecidable } from './context.ts';

type Context = Readonly<Record<string, ContextValue>>;

function holds(condition: ConditionShape, values: Context, effect: 'Allow' | 'Deny' = 'Allow'): boolean {
  const byKey = new Map<string, ContextValue>(Object.entries(values).map(([key, value]) => [key.toLowerCase(), value]));
  return compileCondition(condition, true)(new MeteredContext({ find: (key) => byKey.get(key) }), effect);
}

/** A condition with one operator on the key `k:v`, whose value in the request is `value`. */
const one = (operator: string, listed: string | string[], value?: ContextValue, others: Context = {}) =>
  holds({ [operator]: { 'k:V': [listed].flat() } }, { 'k:v': value, ...others });

const arn = 'arn:aws:iam::111122223333:role/team/app';

test.each<[string, string | string[], ContextValue, boolean]>([
  ['StringEquals', 'a', 'a', true],
  ['StringEquals', 'a', 'A', false],
  ['StringEquals', ['b', 'a'], 'a', true],
  ['StringEquals', 'a*', 'ab', false],
  ['StringEquals', 'a*', 'a*', true],
  ['StringEquals', '', '', true],
  ['StringNotEquals', ['b', 'a'], 'a', false],
  ['StringNotEquals', ['b', 'a'], 'c', true],
  ['StringEqualsIgnoreCase', 'Straße', 'STRAßE', true],
  ['StringNotEqualsIgnoreCase', 'a', 'A', false],
  ['StringLike', 'a*c?', 'abbcd', true],
  ['StringLike', 'a*c?', 'abbc', false],
  ['StringLike', 'A*', 'ab', false],
  ['StringLike', '*', '', true],
  ['StringLike', 'a${*}', 'ab', false],
  ['StringLike', 'a${*}${?}${$}', 'a*?$', true],
  ['StringNotLike', ['x*', 'a*'], 'ab', false],
  ['StringNotLike', 'x*', 'ab', true],

  ['NumericEquals', '7', '7.0', true],
  ['NumericNotEquals', '7', '8', true],
  ['NumericLessThan', '10', '9', true],
  ['NumericLessThan', '10', '10', false],
  ['NumericLessThanEquals', '10', '10', true],
  ['NumericGreaterThan', ['100', '5'], '9', true],
  ['NumericGreaterThanEquals', '-1.5', '-1.5', true],

  ['DateLessThan', '2026-12-01T00:00:00Z', '2026-11-26T23:00:00Z', true],
  ['DateLessThan', '2026-11-26T23:00:00+02:00', '2026-11-26T22:00:00Z', false],
  ['DateGreaterThan', '2026', '2026-11-26T23:00:00Z', true],
  ['DateGreaterThan', '2026-11-27', '2026-11-26T23:00:00Z', false],
  ['DateLessThanEquals', '1795734000', '2026-11-26T23:00:00Z', true],
  ['DateEquals', '2026-11-26T23:00Z', '2026-11-26T23:00:00Z', true],
  ['DateNotEquals', '2026-11', '2026-11-26T23:00:00Z', true],
  ['DateGreaterThanEquals', '2026-11-26T23:00:00.5Z', '2026-11-26T23:00:00Z', false],

  ['Bool', 'true', 'true', true],
  ['Bool', 'TRUE', 'true', true],
  ['Bool', 'false', 'true', false],
  ['BinaryEquals', 'QmluYXJ5', 'QmluYXJ5', true],
  ['BinaryEquals', 'QmluYXJ5', 'QmluYXJ6', false],

  ['IpAddress', '192.0.2.0/24', '192.0.2.255', true],
  ['IpAddress', '192.0.2.0/24', '192.0.3.0', false],
  ['IpAddress', '192.0.2.7', '192.0.2.7', true],
  ['IpAddress', '0.0.0.0/0', '192.0.2.7', true],
  ['IpAddress', '0.0.0.0/0', '2001:db8::1', false],
  ['IpAddress', '::/0', '192.0.2.7', false],
  ['NotIpAddress', '::/0', '192.0.2.7', true],
  ['IpAddress', ['192.0.2.0/24', '2001:db8::/32'], '2001:DB8:1::1', true],
  ['NotIpAddress', '192.0.2.0/24', '192.0.2.1', false],
  ['NotIpAddress', '192.0.2.0/24', '2001:db8::1', true],

  ['ArnLike', 'arn:aws:iam::111122223333:role/*', arn, true],
  ['ArnEquals', 'arn:aws:iam::*:role/*/app', arn, true],
  ['ArnLike', 'arn:aws:iam:*:role/team/app', arn, false],
  ['ArnLike', 'arn:*:iam::1111222?3333:role/team/app', arn, true],
  ['ArnLike', 'arn:aws:iam::111122223333:role/team/app', `${arn}2`, false],
  ['ArnLike', 'arn:aws:kms:*:*:alias/*', 'arn:aws:kms:us-east-1:111122223333:alias/a:b', true],
  ['ArnNotLike', 'arn:aws:iam::111122223333:role/*', arn, false],
  ['ArnNotEquals', 'arn:aws:iam::111122223333:user/*', arn, true],
  ['ArnLike', 'arn:aws:iam::111122223333:role/*', 'no ARN', false],
])('%s %j of %j is %s', (operator, listed, value, expected) => {
  expect(one(operator, listed, value)).toBe(expected);
});

test.each<[string, boolean]>([
  ['StringEquals', false],
  ['StringNotEquals', true],
  ['StringNotLike', true],
  ['NumericNotEquals', true],
  ['DateLessThan', false],
  ['NotIpAddress', true],
  ['ArnNotLike', true],
  ['StringEqualsIfExists', true],
  ['BoolIfExists', true],
  ['ForAllValues:StringEquals', true],
  ['ForAllValues:StringNotEquals', true],
  ['ForAnyValue:StringEquals', false],
  ['ForAnyValue:StringNotEquals', false],
  ['ForAnyValue:StringEqualsIfExists', true],
])('%s of a key that the request does not have is %s', (operator, expected) => {
  const value = /Numeric/.test(operator)
    ? '1'
    : /Date/.test(operator)
      ? '2026'
      : /Ip/.test(operator)
        ? '192.0.2.1'
        : 'true';
  expect(one(operator, operator.includes('Arn') ? arn : value)).toBe(expected);
});

test.each<[string, string[], readonly string[] | string, boolean]>([
  ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'b'], true],
  ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'c'], false],
  ['ForAllValues:StringLike', ['a*'], ['ab', 'ac'], true],
  ['ForAllValues:StringNotEquals', ['a'], ['b', 'c'], true],
  ['ForAllValues:StringNotEquals', ['a'], ['b', 'a'], false],
  ['ForAnyValue:StringEquals', ['a'], ['b', 'a'], true],
  ['ForAnyValue:StringEquals', ['a'], ['b', 'c'], false],
  ['ForAnyValue:StringNotEquals', ['a'], ['a', 'b'], true],
  ['ForAnyValue:StringNotEquals', ['a'], ['a'], false],
  ['ForAnyValue:StringEquals', ['a'], 'a', true],
  ['ForAllValues:StringEquals', ['a'], 'b', false],
])('%s %j of the values %j is %s', (operator, listed, values, expected) => {
  expect(one(operator, listed, values)).toBe(expected);
});

test('Null asks whether there is a value', () => {
  expect(one('Null', 'true')).toBe(true);
  expect(one('Null', 'false')).toBe(false);
  expect(one('Null', 'true', 'a')).toBe(false);
  expect(one('Null', 'False', ['a', 'b'])).toBe(true);
});

test('all operators and all keys must hold, whatever the case of a key', () => {
  const condition = { StringEquals: { 'K:A': ['1'], 'k:b': ['2'] }, Bool: { 'k:c': ['true'] } };
  expect(holds(condition, { 'k:a': '1', 'K:B': '2', 'k:C': 'true' })).toBe(true);
  expect(holds(condition, { 'k:a': '1', 'k:b': '3', 'k:c': 'true' })).toBe(false);
  expect(holds(condition, { 'k:a': '1', 'k:b': '2', 'k:c': 'false' })).toBe(false);
});

test.each<[string, ConditionShape, Context]>([
  ['an operator that does not exist', { StringIs: { 'k:v': ['a'] } }, { 'k:v': 'a' }],
  ['a value that the operator does not take', { NumericLessThan: { 'k:v': ['a'] } }, { 'k:v': '1' }],
  ['a negated one', { NotIpAddress: { 'k:v': ['192.0.2.0/99'] } }, { 'k:v': '192.0.2.1' }],
  ['a request whose value is none', { NotIpAddress: { 'k:v': ['192.0.2.0/24'] } }, { 'k:v': 'nowhere' }],
  ['a number that is none', { NumericNotEquals: { 'k:v': ['1'] } }, { 'k:v': 'one' }],
  ['several values where one is meant', { StringNotEquals: { 'k:v': ['a'] } }, { 'k:v': ['b', 'c'] }],
  ['two values that only one can have', { StringEquals: { 'k:v': ['a'] } }, { 'k:v': undecidable }],
  ['a Null that is neither', { Null: { 'k:v': ['maybe'] } }, {}],
  ['whether there is a value that nobody can tell', { Null: { 'k:v': ['false'] } }, { 'k:v': undecidable }],
  ['whether there is none where nobody can tell', { Null: { 'k:v': ['true'] } }, { 'k:v': undecidable }],
])('an Allow does not hold, and a Deny does, where %s is the condition', (_, condition, values) => {
  expect(holds(condition, values, 'Allow')).toBe(false);
  expect(holds(condition, values, 'Deny')).toBe(true);
});

test('a variable is the value of the request, and its wildcards are letters', () => {
  const like = (text: string, value: string, others: Context) => one('StringLike', text, value, others);
  expect(like('${aws:username}/*', 'alice/1', { 'aws:username': 'alice' })).toBe(true);
  expect(like('${AWS:UserName}/*', 'bob/1', { 'aws:username': 'alice' })).toBe(false);
  expect(like('${aws:username}', 'alice', { 'aws:username': 'a*' })).toBe(false);
  expect(like('${aws:username}', 'a*', { 'aws:username': 'a*' })).toBe(true);
  expect(one('StringEqualsIgnoreCase', '${aws:username}', 'ALICE', { 'aws:username': 'alice' })).toBe(true);
  expect(one('ArnLike', 'arn:aws:iam::*:user/${aws:username}', 'arn:aws:iam::1:user/a', { 'aws:username': 'a' })).toBe(
    true,
  );
  expect(
    one('ArnLike', 'arn:aws:iam::*:${aws:username}/a', 'arn:aws:iam::1:user/x/a', { 'aws:username': 'user' }),
  ).toBe(false);
});

// IAM User Guide, "Policy variables with no value".
test('a variable without a value is equal to nothing, unless it has a default', () => {
  expect(one('StringEquals', '${aws:username}', '${aws:username}')).toBe(false);
  expect(one('StringNotEquals', '${aws:username}', 'a')).toBe(true);
  expect(one('StringLike', ['${aws:username}', 'b*'], 'bc')).toBe(true);
  expect(one('StringEquals', "${aws:username, 'nobody'}", 'nobody')).toBe(true);
  expect(one('StringEquals', "${aws:username,''}", '')).toBe(true);
  expect(one('StringEquals', "x-${aws:username, 'nobody'}-y", 'x-a-y', { 'aws:username': 'a' })).toBe(true);
  expect(one('StringEquals', '${aws:tagkeys}', 'a', { 'aws:tagkeys': ['a'] })).toBe(false);
});

test('in a policy of an older version a variable is text, with all that stands in it', () => {
  const like = (value: string): boolean =>
    compileCondition({ StringLike: { 'k:v': ['a${*}b*'] } }, false)(new MeteredContext({ find: () => value }), 'Allow');
  expect(like('a${*}bc')).toBe(true);
  expect(like('a${c}bc')).toBe(false);
  expect(like('a*bc')).toBe(false);
});

// The request says two things of it, such as two tags whose names differ in case only.
test.each<[operator: string, listed: string | string[], value: ContextValue]>([
  ['StringEquals', '${k:two}', 'a'],
  ['StringNotEquals', '${k:two}', 'a'],
  ['StringEqualsIgnoreCase', "${k:two, 'a'}", 'a'],
  ['StringLike', ['b', 'x-${k:two}-*'], 'a'],
  ['StringNotLike', ['${k:two}', '${k:none}'], 'a'],
  ['ForAnyValue:StringEquals', '${k:two}', ['a', 'b']],
  ['ForAllValues:StringNotEquals', '${k:two}', ['a', 'b']],
  ['ArnLike', 'arn:aws:iam::*:role/team/${k:two}', arn],
  ['ArnNotLike', 'arn:aws:iam::${k:two}:role/*', arn],
])(
  'an Allow does not hold, and a Deny does, where %s %j has a variable that is undecidable',
  (operator, listed, value) => {
    const condition = { [operator]: { 'k:v': [listed].flat() } };
    const values: Context = { 'k:v': value, 'k:two': undecidable };
    expect(holds(condition, values, 'Allow')).toBe(false);
    expect(holds(condition, values, 'Deny')).toBe(true);
  },
);

test.each<[operator: string, listed: string[], value: string, expected: boolean]>([
  ['StringEquals', ['${k:two}', 'a'], 'a', true],
  ['StringNotEquals', ['${k:two}', 'a'], 'a', false],
  ['ArnLike', ['arn:aws:iam::999999999999:role/${k:two}'], arn, false],
  ['ArnNotLike', ['arn:aws:iam::999999999999:role/${k:two}'], arn, true],
])('%s %j of %j is %s, whatever an undecidable variable is', (operator, listed, value, expected) => {
  const condition = { [operator]: { 'k:v': listed } };
  const values: Context = { 'k:v': value, 'k:two': undecidable };
  expect([holds(condition, values, 'Allow'), holds(condition, values, 'Deny')]).toEqual([expected, expected]);
});

test('in a policy of an older version a variable is text', () => {
  const condition = compileCondition({ StringEquals: { 'k:v': ['${aws:username}'] } }, false);
  expect(condition(new MeteredContext({ find: () => '${aws:username}' }), 'Allow')).toBe(true);
});
