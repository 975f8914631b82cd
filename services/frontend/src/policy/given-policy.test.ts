import { refusalOfKeyPolicy } from '@keyfleet/test-support/policy/given';
import { expect, test } from 'vitest';
import { readGivenIdentityPolicy } from './given-policy.ts';

const account = '111122223333';
const root = `arn:aws:iam::${account}:root`;
const good = { Effect: 'Allow', Principal: { AWS: root }, Action: 'kms:*', Resource: '*' };

function textOf(...statements: object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

const malformed = (text: string) => `MalformedPolicyDocumentException: ${text}`;
const invalidPrincipals = malformed('Policy contains a statement with one or more invalid principals.');
const invalidActions = malformed('Policy contains a statement with one or more invalid actions.');
const noActions = malformed('Policy statement must contain actions.');
const noResources = malformed('Policy statement must contain resources.');
const invalidResources = malformed('Policy contains a statement with one or more invalid resources.');
const noVendor = malformed('Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.');
const syntax = malformed('Syntax errors in policy.');
const notPermitted = (keys: string) => malformed(`These condition keys are not permitted in a key policy: ${keys}`);

const notTaken = (operator: string, value: string) =>
  malformed(`The condition operator ${operator} does not take the value "${value}".`);

const noKey = (key: string) =>
  malformed(`Policy contains a statement with one or more invalid condition keys: ${key}.`);

const where = (operator: string, key: string, value: unknown) => ({ Condition: { [operator]: { [key]: value } } });
const invalidJson = malformed('This policy contains invalid Json');

test.each<[string, object]>([
  ['an account by its root', {}],
  ['an account by its id', { Principal: { AWS: account } }],
  ['another account', { Principal: { AWS: ['999999999999', 'arn:aws:iam::999999999999:user/eve'] } }],
  ['everyone', { Principal: '*' }],
  ['everyone, as a list', { Principal: { AWS: ['*'] } }],
  ['a service', { Principal: { Service: ['logs.us-east-1.amazonaws.com', 'delivery.logs.amazonaws.com'] } }],
  ['a service beside an account', { Principal: { AWS: root, Service: 'cloudtrail.amazonaws.com' } }],
  ['every action', { Action: '*' }],
  ['actions with wildcards, in any case', { Action: ['KMS:Generate*', 'kms:?ncrypt'] }],
  ['all actions but some', { NotAction: 'kms:ScheduleKeyDeletion' }],
  ['a condition that says nothing', { Condition: {} }],
  ['a network', where('NotIpAddress', 'aws:SourceIp', ['192.0.2.0/24', '2001:db8::/32'])],
  ['an encryption context', where('StringEquals', 'kms:EncryptionContext:App', 'payroll')],
  ['a set of contexts', where('ForAllValues:StringLike', 'kms:EncryptionContextKeys', ['App', 'Team*'])],
  ['keys in any case', where('StringEquals', 'KMS:callerACCOUNT', account)],
  ['numbers and truths that are not texts', where('NumericLessThan', 'kms:TrailingDaysWithoutKeyUsage', 90)],
  ['whether there is a key', where('Null', 'kms:EncryptionContext:App', [false])],
  [
    'what no request has here, as in AWS without it',
    where('StringEquals', 'kms:ViaService', 's3.us-east-1.amazonaws.com'),
  ],
  ['an organization', where('StringEqualsIfExists', 'aws:PrincipalOrgID', 'o-1')],
  ['a variable', where('StringEquals', 'kms:EncryptionContext:user', '${aws:username}')],
  ['a variable with a default', where('StringLike', 'aws:userid', "${aws:PrincipalTag/team, 'none'}-*")],
  ['a service in a set, as many do', where('ForAnyValue:StringLike', 'kms:ViaService', 'ec2.*.amazonaws.com')],
  ['everybody but some, to deny', { Effect: 'Deny', Principal: undefined, NotPrincipal: { AWS: root } }],
])('a policy may name %s', (_, overrides) => {
  const statement: Record<string, unknown> = { ...good, ...overrides };
  if ('NotAction' in statement) delete statement['Action'];
  expect(refusalOfKeyPolicy(textOf(statement))).toBeUndefined();
});

test.each<[string, object, string]>([
  ['no principal', { Principal: undefined }, malformed('Policy contains a statement with no principal.')],
  ['an empty principal', { Principal: {} }, invalidPrincipals],
  ['an empty list of principals', { Principal: { AWS: [] } }, invalidPrincipals],
  ['an empty list beside another', { Principal: { AWS: root, Service: [] } }, invalidPrincipals],
  ['an empty name', { Principal: { AWS: '' } }, invalidPrincipals],
  ['a principal of another partition', { Principal: { AWS: `arn:aws-cn:iam::${account}:root` } }, invalidPrincipals],
  ['a user of another partition', { Principal: { AWS: `arn:aws-cn:iam::${account}:user/a` } }, invalidPrincipals],
  ['a group', { Principal: { AWS: `arn:aws:iam::${account}:group/g` } }, invalidPrincipals],
  ['users by a wildcard', { Principal: { AWS: `arn:aws:iam::${account}:user/*` } }, invalidPrincipals],
  ['a user by a variable', { Principal: { AWS: `arn:aws:iam::${account}:user/\${aws:username}` } }, invalidPrincipals],
  ['a service that AWS does not have', { Principal: { Service: 'nonsense.amazonaws.com' } }, invalidPrincipals],
  ['a service that is none', { Principal: { Service: 'example.com' } }, invalidPrincipals],
  ['a federation', { Principal: { Federated: 'cognito-identity.amazonaws.com' } }, invalidPrincipals],
  ['a canonical user', { Principal: { CanonicalUser: 'a' } }, invalidPrincipals],
  ['everybody but some, to allow', { Principal: undefined, NotPrincipal: { AWS: root } }, syntax],
  ['both kinds of principal', { Effect: 'Deny', NotPrincipal: { AWS: root } }, syntax],
  [
    'a principal that cannot be to leave out',
    { Effect: 'Deny', Principal: undefined, NotPrincipal: { AWS: `arn:aws-cn:iam::${account}:root` } },
    invalidPrincipals,
  ],
  ['no action', { Action: undefined }, noActions],
  ['an empty list of actions', { Action: [] }, noActions],
  ['an empty action', { Action: '' }, noActions],
  ['an empty action among others', { Action: ['kms:Encrypt', ''] }, noActions],
  ['an empty list of actions to leave out', { Action: undefined, NotAction: [] }, noActions],
  ['an action without a vendor', { Action: ['kms:Encrypt', 'Decrypt'] }, noVendor],
  ['an action of another service', { Action: 's3:GetObject' }, invalidActions],
  ['an action with a variable', { Action: 'kms:${aws:username}' }, invalidActions],
  ['an action with two colons', { Action: 'kms:Encrypt:x' }, invalidActions],
  ['no resource', { Resource: undefined }, noResources],
  ['an empty list of resources', { Resource: [] }, noResources],
  ['an empty resource', { Resource: '' }, noResources],
  ['a resource that is not its key', { Resource: `arn:aws:kms:us-east-1:${account}:key/x` }, invalidResources],
  ['a resource with a variable', { Resource: '${kms:x}' }, invalidResources],
  ['all resources but some', { Resource: undefined, NotResource: '*' }, invalidResources],
  ['a condition key that nobody knows', where('StringEquals', 'kms:Typo', 'x'), noKey('kms:Typo')],
  ["another service's", where('StringEquals', 's3:prefix', 'x'), noKey('s3:prefix')],
  [
    'the family of a key by itself',
    where('StringEquals', 'kms:EncryptionContext:', 'x'),
    noKey('kms:EncryptionContext:'),
  ],
  ['a key without a vendor', where('StringEquals', 'SourceIp', 'x'), noVendor],
  ['tags of its key', where('StringEquals', 'aws:ResourceTag/team', 'x'), notPermitted('aws:ResourceTag')],
  [
    'aliases of its key',
    where('ForAnyValue:StringEquals', 'kms:ResourceAliases', 'x'),
    notPermitted('kms:ResourceAliases'),
  ],
  [
    'either',
    {
      Condition: {
        StringEquals: { 'aws:ResourceTag/a': 'x', 'aws:ResourceTag/b': 'x' },
        'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'x' },
      },
    },
    notPermitted('aws:ResourceTag, kms:ResourceAliases'),
  ],
  ['an operator without keys', { Condition: { Bool: {} } }, syntax],
  ['a key without values', where('StringEquals', 'aws:userid', []), syntax],
  ['a number that is none', where('NumericEquals', 'kms:RotationPeriodInDays', '9o'), notTaken('NumericEquals', '9o')],
  [
    'a date that is none',
    where('DateLessThan', 'aws:CurrentTime', '2026-13-01'),
    notTaken('DateLessThan', '2026-13-01'),
  ],
  [
    'a time without a zone',
    where('DateLessThan', 'aws:CurrentTime', '2026-12-01T00:00:00'),
    notTaken('DateLessThan', '2026-12-01T00:00:00'),
  ],
  ['a network that is none', where('IpAddress', 'aws:SourceIp', '192.0.2.0/33'), notTaken('IpAddress', '192.0.2.0/33')],
  [
    'an address with too much',
    where('NotIpAddress', 'aws:SourceIp', '192.0.2.1.1'),
    notTaken('NotIpAddress', '192.0.2.1.1'),
  ],
  ['a truth that is none', where('Bool', 'aws:SecureTransport', 'yes'), notTaken('Bool', 'yes')],
  ['a Null that is neither', where('Null', 'aws:SecureTransport', 'null'), notTaken('Null', 'null')],
  ['an ARN that is none', where('ArnLike', 'aws:PrincipalArn', '*'), notTaken('ArnLike', '*')],
  [
    'an operator of another type',
    where('NumericLessThan', 'aws:SourceIp', 1),
    malformed('The condition operator NumericLessThan cannot be used with the condition key aws:SourceIp.'),
  ],
  [
    'several values without a set',
    where('StringEquals', 'aws:TagKeys', 'a'),
    malformed('The condition key aws:TagKeys can have several values: use ForAllValues or ForAnyValue.'),
  ],
  [
    'a Null of a set',
    where('ForAnyValue:Null', 'aws:TagKeys', 'true'),
    malformed('Invalid Condition type : ForAnyValue:Null.'),
  ],
  [
    'a Null if it exists',
    where('NullIfExists', 'aws:TagKeys', 'true'),
    malformed('Invalid Condition type : NullIfExists.'),
  ],
  [
    'a variable that is not written as one',
    where('StringEquals', 'aws:userid', '${aws:username'),
    malformed('The policy variable in "${aws:username" is not well-formed.'),
  ],
  ['a variable of no key', where('StringEquals', 'aws:userid', '${aws:Typo}'), noKey('aws:typo')],
  [
    'a variable of several values',
    where('StringEquals', 'aws:userid', '${aws:TagKeys}'),
    malformed('The condition key aws:TagKeys cannot be used as a policy variable.'),
  ],
  [
    'a variable where a number is wanted',
    where('NumericEquals', 'kms:RotationPeriodInDays', '${aws:userid}'),
    notTaken('NumericEquals', '${aws:userid}'),
  ],
  ['an unknown operator', { Condition: { StringIs: { a: 'b' } } }, malformed('Invalid Condition type : StringIs.')],
  [
    'an operator of an object',
    { Condition: { constructor: { a: 'b' } } },
    malformed('Invalid Condition type : constructor.'),
  ],
  ['an operator in another case', { Condition: { bool: { a: 'b' } } }, malformed('Invalid Condition type : bool.')],
])('a policy may not have %s', (_, overrides, expected) => {
  expect(refusalOfKeyPolicy(textOf(good, { ...good, ...overrides }))).toBe(expected);
});

test.each([
  [
    'an element twice',
    '{"Statement":{"Effect":"Deny","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}',
  ],
  [
    'its statements twice',
    `{"Statement":[${JSON.stringify({ ...good, Effect: 'Deny' })}],"Statement":[${JSON.stringify(good)}]}`,
  ],
  ['__proto__ for an operator', textOf(good).replace('"Effect"', '"Condition":{"__proto__":{"a":"b"}},"Effect"')],
  ['__proto__ for a principal', textOf(good).replace('"AWS"', '"__proto__":["x"],"AWS"')],
  ['something after it', `${textOf(good)}{}`],
])('a policy may not have %s', (_, text) => {
  expect(refusalOfKeyPolicy(text)).toBe(invalidJson);
});

test('two statements may not have one Sid, unless it is empty', () => {
  const named = (Sid: string) => ({ ...good, Sid });
  expect(refusalOfKeyPolicy(textOf(named('with spaces'), named('other')))).toBeUndefined();
  expect(refusalOfKeyPolicy(textOf(named(''), named('')))).toBeUndefined();
  expect(refusalOfKeyPolicy(textOf(named('a'), good, named('a')))).toBe(
    malformed('Statement IDs (SID) in a single policy must be unique.'),
  );
});

test('before version 2012-10-17 there are no variables', () => {
  const statement = { ...good, ...where('StringEquals', 'kms:EncryptionContext:user', '${aws:username}') };
  expect(refusalOfKeyPolicy(JSON.stringify({ Statement: [statement] }))).toBe(
    malformed('Policy variables need the policy version 2012-10-17.'),
  );
});

test('an identity policy may speak of other services, tags and aliases, and names nobody', () => {
  const given = (statement: object) => () =>
    readGivenIdentityPolicy(JSON.stringify({ Version: '2012-10-17', Statement: statement }));
  const { Principal, ...own } = { ...good, Resource: 'arn:aws:kms:*:${aws:PrincipalAccount}:key/*' };
  expect(given(own)).not.toThrow();
  expect(given({ ...own, Action: ['s3:GetObject', 'kms:*'], Resource: 'arn:aws:s3:::bucket/*' })).not.toThrow();
  expect(given({ ...own, ...where('StringEquals', 'aws:ResourceTag/team', '${aws:PrincipalTag/team}') })).not.toThrow();
  expect(given({ ...own, ...where('ForAnyValue:StringLike', 'kms:ResourceAliases', 'alias/a*') })).not.toThrow();
  expect(given({ ...own, ...where('StringLike', 's3:prefix', 'x') })).not.toThrow();
  expect(given({ ...own, Principal })).toThrow('Policy document should not specify a principal.');
  expect(given({ ...own, ...where('StringLike', 'kms:Typo', 'x') })).toThrow('invalid condition keys: kms:Typo.');
  expect(given({ ...own, Resource: 'bucket' })).toThrow('Resource bucket must be in ARN format or "*".');
  expect(given({ ...own, Resource: 'arn:aws:kms:us-east-1' })).toThrow('must be in ARN format');
  expect(given({ ...own, Resource: 'arn:aws:kms:*:*:key/${aws:Typo}' })).toThrow('invalid condition keys: aws:typo.');
  expect(given({ ...own, Resource: undefined, NotResource: [] })).toThrow('Policy statement must contain resources.');
  expect(given({ ...own, Action: 'Encrypt' })).toThrow('must be prefaced by a vendor');
});

test('ForAllValues on a single-valued key is refused for that', () => {
  const Condition = { 'ForAllValues:StringEquals': { 'kms:EncryptionContext:app': 'x' } };
  expect(refusalOfKeyPolicy(textOf({ ...good, Condition }))).toMatch(
    /^MalformedPolicyDocumentException: OverlyPermissiveCondition: /,
  );
});

test('a policy of more than 32,768 bytes is too large', () => {
  expect(refusalOfKeyPolicy(textOf({ ...good, Sid: 'x'.repeat(32_768) }))).toBe(
    'LimitExceededException: The key policy is larger than 32768 bytes.',
  );
});
