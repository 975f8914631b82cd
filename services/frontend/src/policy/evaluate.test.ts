import { expect, test } from 'vitest';
import { parseIdentityPolicy, parseKeyPolicy, type Policy } from './document.ts';
import { type Decision, evaluate } from './evaluate.ts';

const account = '111122223333';
const root = `arn:aws:iam::${account}:root`;
const alice = `arn:aws:iam::${account}:user/alice`;
const key = `arn:aws:kms:us-east-1:${account}:key/k`;

interface Question {
  readonly who?: string;
  readonly keyPolicy?: readonly object[];
  readonly identity?: readonly object[];
  readonly action?: string;
  readonly resource?: string;
}

function ask({ who = alice, keyPolicy, identity = [], action = 'kms:Encrypt', resource = key }: Question): Decision {
  const identityPolicies: Policy[] = identity.map((Statement) => parseIdentityPolicy(JSON.stringify({ Statement })));
  return evaluate({
    requester: { arn: who, accountId: account, identityPolicies },
    action,
    resource,
    ...(keyPolicy && { keyPolicy: parseKeyPolicy(JSON.stringify({ Statement: keyPolicy })) }),
  });
}

const allow = (overrides: object = {}) => ({ Effect: 'Allow', Action: 'kms:*', Resource: '*', ...overrides });
const deny = (overrides: object = {}) => allow({ Effect: 'Deny', ...overrides });
const to = (AWS: string | string[], statement: object = allow()) => ({ ...statement, Principal: { AWS } });
const Condition = { StringEquals: { 'aws:SourceIp': '192.0.2.1' } };
const role = `arn:aws:iam::${account}:role/app`;
const session = `arn:aws:sts::${account}:assumed-role/app/session-1`;

test.each<[string, Question, Decision]>([
  ['nobody is let in by default', { keyPolicy: [to(`${alice}2`)] }, 'no-key-policy'],
  ['a key policy that names the caller suffices', { keyPolicy: [to(alice)] }, 'allowed'],
  ['so does one that names everyone', { keyPolicy: [to('*')] }, 'allowed'],
  ['and a bare star', { keyPolicy: [{ ...allow(), Principal: '*' }] }, 'allowed'],
  ['naming the account by itself lets no user in', { keyPolicy: [to(root)] }, 'no-identity-policy'],
  ['it lets identity policies decide', { keyPolicy: [to(root)], identity: [allow()] }, 'allowed'],
  ['the account id means the same', { keyPolicy: [to(account)], identity: [allow()] }, 'allowed'],
  [
    'without it identity policies allow nothing',
    { keyPolicy: [to(`${alice}2`)], identity: [allow()] },
    'no-key-policy',
  ],
  [
    'it delegates only the actions it lists',
    { keyPolicy: [to(root, allow({ Action: 'kms:Decrypt' }))], identity: [allow()] },
    'no-key-policy',
  ],
  ['the account itself is the root user', { who: root, keyPolicy: [to(root)] }, 'allowed'],
  ['the root user has no way around a key policy', { who: root, keyPolicy: [to(alice)] }, 'no-key-policy'],
  ['another account is not meant', { keyPolicy: [to('999999999999')], identity: [allow()] }, 'no-key-policy'],
  ['naming a role names its sessions', { who: session, keyPolicy: [to(role)] }, 'allowed'],
  ['naming another role does not', { who: session, keyPolicy: [to(`${role}2`)] }, 'no-key-policy'],
  ['a session can be named itself', { who: session, keyPolicy: [to(session)] }, 'allowed'],
  ['a deny in the key policy wins', { keyPolicy: [to(alice), to('*', deny())] }, 'deny-in-key-policy'],
  ['so it does when it comes first', { keyPolicy: [to(alice, deny()), to(alice)] }, 'deny-in-key-policy'],
  ['a deny for the account is for everybody in it', { keyPolicy: [to(alice), to(root, deny())] }, 'deny-in-key-policy'],
  ['a deny for others is not', { keyPolicy: [to(alice), to(`${alice}2`, deny())] }, 'allowed'],
  ['a deny in an identity policy wins', { keyPolicy: [to(alice)], identity: [deny()] }, 'deny-in-identity-policy'],
  ['an allow under a condition allows nothing', { keyPolicy: [to(alice, allow({ Condition }))] }, 'no-key-policy'],
  [
    'a deny under a condition always denies',
    { keyPolicy: [to(alice), to(alice, deny({ Condition }))] },
    'deny-in-key-policy',
  ],
  [
    'both hold for identity policies',
    { keyPolicy: [to(root)], identity: [allow({ Condition })] },
    'no-identity-policy',
  ],
  ['an empty condition is none', { keyPolicy: [to(alice, allow({ Condition: {} }))] }, 'allowed'],
  ['actions are matched in any case', { keyPolicy: [to(alice, allow({ Action: 'KMS:encrypt' }))] }, 'allowed'],
  ['and by pattern', { keyPolicy: [to(alice, allow({ Action: ['kms:Dec*', 'kms:E?crypt'] }))] }, 'allowed'],
  ['a pattern matches the whole name', { keyPolicy: [to(alice, allow({ Action: 'kms:Enc' }))] }, 'no-key-policy'],
  [
    'NotAction allows what it does not list',
    { keyPolicy: [to(alice, { Effect: 'Allow', NotAction: 'kms:Decrypt', Resource: '*' })] },
    'allowed',
  ],
  [
    'and not what it lists',
    { keyPolicy: [to(alice, { Effect: 'Allow', NotAction: 'kms:Enc*', Resource: '*' })] },
    'no-key-policy',
  ],
  [
    'a statement without Action does nothing',
    { keyPolicy: [to(alice, { Effect: 'Allow', Resource: '*' })] },
    'no-key-policy',
  ],
  ['nor one without Resource', { keyPolicy: [to(alice, { Effect: 'Allow', Action: '*' })] }, 'no-key-policy'],
  [
    'an identity policy may name the key',
    { keyPolicy: [to(root)], identity: [allow({ Resource: `arn:aws:kms:*:${account}:key/*` })] },
    'allowed',
  ],
  ['or another one', { keyPolicy: [to(root)], identity: [allow({ Resource: `${key}2` })] }, 'no-identity-policy'],
  [
    'an alias is not its key',
    { keyPolicy: [to(root)], identity: [allow({ Resource: 'arn:aws:kms:us-east-1:*:alias/*' })] },
    'no-identity-policy',
  ],
  [
    'what has no key is up to identity policies',
    { action: 'kms:CreateKey', resource: '*', identity: [allow()] },
    'allowed',
  ],
  ['which say no by default', { action: 'kms:CreateKey', resource: '*' }, 'no-identity-policy'],
  ['except to the root user', { who: root, action: 'kms:CreateKey', resource: '*' }, 'allowed'],
  [
    'and a key ARN does not cover it',
    { action: 'kms:ListKeys', resource: '*', identity: [allow({ Resource: 'arn:*' })] },
    'no-identity-policy',
  ],
])('%s', (_, question, expected) => {
  expect(ask(question)).toBe(expected);
});

test('a pattern made to take for ever to match does not', () => {
  const Action = `kms:${'*a'.repeat(500)}b`;
  expect(ask({ keyPolicy: [to(alice, allow({ Action }))], action: `kms:${'a'.repeat(2000)}` })).toBe('no-key-policy');
});
