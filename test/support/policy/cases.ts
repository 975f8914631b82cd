import type { Seeded } from '../seeded.ts';

/** A question to a policy engine: documents as they would be stored, and the facts of the request. */
export interface PolicyCase {
  readonly principal: string;
  readonly principalAccount: string;
  readonly owner: string;
  readonly action: string;
  readonly resource: string;
  readonly keyPolicy: Document;
  readonly identity: readonly Document[];
  readonly boundary: Document | undefined;
  readonly session: Document | undefined;
  readonly context: Readonly<Record<string, string | string[]>>;
}

export interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>;
  readonly [element: string]: unknown;
}

export interface Document {
  readonly Version: string;
  readonly Statement: readonly Statement[];
}

const account = '111122223333';
const foreign = '444455556666';
const user = `arn:aws:iam::${account}:user/alice`;
const role = `arn:aws:iam::${account}:role/app`;
const session = `arn:aws:sts::${account}:assumed-role/app/one`;
const keyOf = (owner: string) => `arn:aws:kms:us-east-1:${owner}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;

const actions = ['kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'];
const actionPatterns = [...actions, '*', 'kms:*', 'KMS:encrypt', 'kms:*crypt', 'kms:Generate*', 'kms:?ecrypt', 's3:*'];

/** A condition key with values that requests have, and values that policies list. */
interface KeyPool {
  readonly name: string;
  readonly operators: readonly string[];
  readonly has: readonly string[];
  readonly lists: readonly string[];
  readonly isMany?: boolean;
}

const strings = [
  'StringEquals',
  'StringNotEquals',
  'StringEqualsIgnoreCase',
  'StringNotEqualsIgnoreCase',
  'StringLike',
  'StringNotLike',
];
const numbers = ['Equals', 'NotEquals', 'LessThan', 'LessThanEquals', 'GreaterThan', 'GreaterThanEquals'];
const arns = ['ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike'];
const names = ['red', 'Red', 'blue', 'bluebird', ''.padEnd(3, 'x')];
const patterns = [
  ...names,
  'r*',
  '*e*',
  'blue????',
  'b?ue',
  '*',
  '${aws:username}',
  "${aws:PrincipalTag/team, 'red'}",
  '${aws:PrincipalTag/team}',
  '${*}',
];

const pools: readonly KeyPool[] = [
  { name: 'aws:PrincipalTag/team', operators: strings, has: names, lists: patterns },
  { name: 'aws:ResourceTag/color', operators: strings, has: names, lists: patterns },
  { name: 'aws:RequestTag/color', operators: strings, has: names, lists: patterns },
  {
    name: 'kms:RequestAlias',
    operators: strings,
    has: ['alias/red', 'alias/blue/1'],
    lists: ['alias/*', 'alias/red', 'alias/${aws:username}'],
  },
  { name: 'aws:TagKeys', operators: strings, has: names, lists: patterns, isMany: true },
  { name: 'kms:EncryptionContextKeys', operators: strings, has: names, lists: patterns, isMany: true },
  {
    name: 'aws:SourceIp',
    operators: ['IpAddress', 'NotIpAddress'],
    has: ['192.0.2.1', '198.51.100.9', '2001:db8::1'],
    lists: ['192.0.2.0/24', '198.51.100.9/32', '0.0.0.0/0', '2001:db8::/32', '192.0.2.1/31'],
  },
  {
    name: 'aws:MultiFactorAuthAge',
    operators: numbers.map((name) => `Numeric${name}`),
    has: ['0', '59', '60', '3600'],
    lists: ['60', '3600', '59.5'],
  },
  {
    name: 'aws:CurrentTime',
    operators: numbers.map((name) => `Date${name}`),
    has: ['2026-11-26T23:00:00Z', '2027-01-01T00:00:00Z'],
    lists: ['2026-11-26T23:00:00Z', '2026-12-01', '2026-11-26T23:00:00+02:00'],
  },
  { name: 'aws:SecureTransport', operators: ['Bool'], has: ['true', 'false'], lists: ['true', 'false', 'TRUE'] },
  {
    name: 'aws:PrincipalArn',
    operators: arns,
    has: [user, role],
    lists: [user, role, `arn:aws:iam::${account}:*`, 'arn:aws:iam::*:user/*', 'arn:*:iam::1111?2223333:role/a*'],
  },
  { name: 'aws:userid', operators: strings, has: ['AIDAALICE'], lists: ['AIDA*', 'AROAAPP:*', 'AIDAALICE'] },
];

/** One of `n` cases has it. */
const oneOf = (random: Seeded, n: number): boolean => random.between(1, n) === 1;

function some<T>(random: Seeded, choices: readonly T[], most: number): T[] {
  return [...new Set(Array.from({ length: random.between(1, most) }, () => random.pick(choices)))];
}

export function newCase(random: Seeded): PolicyCase {
  const isSession = oneOf(random, 2);
  const owner = oneOf(random, 5) ? foreign : account;
  const action = random.pick(actions);
  const document = (statements: () => Statement): Document => ({
    Version: oneOf(random, 12) ? '2008-10-17' : '2012-10-17',
    Statement: Array.from({ length: random.between(1, 3) }, statements),
  });
  const own = () => ({ ...statement(random), ...resources(random, owner) });
  return {
    principal: isSession ? session : user,
    principalAccount: account,
    owner,
    action,
    resource: keyOf(owner),
    keyPolicy: document(() => ({ ...statement(random), ...principals(random), Resource: '*' })),
    identity: Array.from({ length: random.between(0, 2) }, () => document(own)),
    boundary: oneOf(random, 4) ? document(own) : undefined,
    session: isSession && oneOf(random, 4) ? document(own) : undefined,
    context: contextOf(random, action),
  };
}

function statement(random: Seeded): Statement {
  const listed = some(random, actionPatterns, 3);
  const condition = oneOf(random, 2) ? { Condition: conditionOf(random) } : {};
  return {
    Effect: oneOf(random, 4) ? 'Deny' : 'Allow',
    ...(oneOf(random, 8) ? { NotAction: listed } : { Action: listed }),
    ...condition,
  };
}

function principals(random: Seeded): object {
  const rootOf = (id: string) => `arn:aws:iam::${id}:root`;
  const choices = [
    user,
    role,
    session,
    `${user}2`,
    `${role}2`,
    rootOf(account),
    rootOf(foreign),
    account,
    rootOf(account),
    '*',
  ];
  const AWS = some(random, choices, 2);
  if (oneOf(random, 20)) return { Effect: 'Deny', NotPrincipal: { AWS } };
  return { Principal: oneOf(random, 10) ? '*' : { AWS } };
}

function resources(random: Seeded, owner: string): object {
  const key = keyOf(owner);
  const choices = [
    '*',
    '*',
    key,
    `${key}2`,
    `arn:aws:kms:*:${owner}:key/*`,
    'arn:aws:kms:us-east-?:*:*',
    'arn:aws:kms:us-east-1:*:alias/*',
    'arn:aws:kms:*',
    'arn:aws:kms:us-east-1:*:key/${aws:PrincipalTag/team}*',
  ];
  const listed = some(random, choices, 2);
  return oneOf(random, 8) ? { NotResource: listed } : { Resource: listed };
}

function conditionOf(random: Seeded): NonNullable<Statement['Condition']> {
  return Object.fromEntries(
    Array.from({ length: random.between(1, 2) }, () => {
      const pool = random.pick(pools);
      const name = oneOf(random, 6)
        ? pool.name.toUpperCase().replace(/^AWS|^KMS/, (vendor) => vendor.toLowerCase())
        : pool.name;
      if (oneOf(random, 8)) return ['Null', { [name]: random.pick(['true', 'false']) }];
      const set = pool.isMany === true ? random.pick(['ForAllValues:', 'ForAnyValue:']) : '';
      const operator = `${set}${random.pick(pool.operators)}${oneOf(random, 5) ? 'IfExists' : ''}`;
      const values = some(random, pool.lists, 2);
      return [operator, { [name]: values.length === 1 ? values[0]! : values }];
    }),
  );
}

/** The oracle ignores condition keys that the action does not have. */
function contextOf(random: Seeded, action: string): PolicyCase['context'] {
  const can = pools.filter(({ name }) => name !== 'kms:EncryptionContextKeys' || action !== 'kms:DescribeKey');
  const has = can.filter(() => !oneOf(random, 3));
  const context: Record<string, string | string[]> = oneOf(random, 2)
    ? { 'aws:username': random.pick(['red', 'alice']) }
    : {};
  for (const pool of has) context[pool.name] = pool.isMany === true ? some(random, pool.has, 2) : random.pick(pool.has);
  return context;
}
