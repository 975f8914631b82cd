import { expect, test } from 'vitest';
import { type ContextValue, undecidable } from './conditions/context.ts';
import { parseIdentityPolicy, parseKeyPolicy, type Policy } from './document.ts';
import { type Decision, evaluate, type Grantee } from './evaluate.ts';

const account = '111122223333';
const root = `arn:aws:iam::${account}:root`;
const alice = `arn:aws:iam::${account}:user/alice`;
const key = `arn:aws:kms:us-east-1:${account}:key/k`;

interface Question {
  readonly who?: string;
  readonly sessionOf?: string;
  /** The account that owns the key. */
  readonly ownerId?: string;
  readonly keyPolicy?: readonly object[];
  readonly identity?: readonly object[];
  readonly boundary?: readonly object[];
  readonly session?: readonly object[];
  readonly action?: string;
  readonly resource?: string;
  readonly grantee?: Grantee;
}

const values = new Map<string, ContextValue>([
  ['aws:sourceip', '198.51.100.7'],
  ['aws:requesttag/two', undecidable],
]);

function identityPolicy(statements: readonly object[]): Policy {
  return parseIdentityPolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }));
}

function ask(question: Question): Decision {
  const { who = alice, keyPolicy, identity = [], boundary, session, action = 'kms:Encrypt', resource = key } = question;
  return evaluate({
    requester: {
      arn: who,
      accountId: account,
      sessionOf: question.sessionOf,
      identityPolicies: identity.map((statement) => identityPolicy([statement])),
      boundary: boundary && identityPolicy(boundary),
      sessionPolicies: session?.map((statement) => identityPolicy([statement])),
    },
    action,
    resource,
    ownerId: question.ownerId ?? account,
    ...(keyPolicy && { keyPolicy: parseKeyPolicy(JSON.stringify({ Statement: keyPolicy })) }),
    grantee: question.grantee,
    context: { find: (name) => values.get(name) },
  });
}

const allow = (overrides: object = {}) => ({ Effect: 'Allow', Action: 'kms:*', Resource: '*', ...overrides });
const deny = (overrides: object = {}) => allow({ Effect: 'Deny', ...overrides });
const to = (AWS: string | string[], statement: object = allow()) => ({ ...statement, Principal: { AWS } });
const fulfilled = { IpAddress: { 'aws:SourceIp': '198.51.100.0/24' } };
const unfulfilled = { IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } };
const undecided = `arn:aws:kms:us-east-1:${account}:key/\${aws:RequestTag/two}`;
const allBut = { Action: 'kms:*', NotResource: undecided };
const federated = `arn:aws:sts::${account}:federated-user/alice`;
const other = '999999999999';
const role = `arn:aws:iam::${account}:role/app`;
const pathRole = `arn:aws:iam::${account}:role/team/app`;
const bounded = [allow({ Action: 'kms:Decrypt' })];
const except = (AWS: string[]) => ({ Effect: 'Deny', NotPrincipal: { AWS }, Action: 'kms:*', Resource: '*' });
const federatedUser = { who: federated, sessionOf: alice };
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
  ['an allow holds if its condition does', { keyPolicy: [to(alice, allow({ Condition: fulfilled }))] }, 'allowed'],
  ['and not if it does not', { keyPolicy: [to(alice, allow({ Condition: unfulfilled }))] }, 'no-key-policy'],
  ['nor does a deny', { keyPolicy: [to(alice), to(alice, deny({ Condition: unfulfilled }))] }, 'allowed'],
  ['which else wins', { keyPolicy: [to(alice), to(alice, deny({ Condition: fulfilled }))] }, 'deny-in-key-policy'],
  [
    'both hold for identity policies',
    { keyPolicy: [to(root)], identity: [allow({ Condition: unfulfilled })] },
    'no-identity-policy',
  ],
  [
    'an allow whose condition nobody can decide allows nothing',
    { keyPolicy: [to(alice, allow({ Condition: { StringIs: { 'aws:SourceIp': 'x' } } }))] },
    'no-key-policy',
  ],
  [
    'a deny of that kind denies',
    { keyPolicy: [to(alice), to(alice, deny({ Condition: { StringIs: { 'aws:SourceIp': 'x' } } }))] },
    'deny-in-key-policy',
  ],
  [
    'an allow of a resource that nobody can decide allows nothing',
    { keyPolicy: [to(root)], identity: [allow({ Resource: undecided })] },
    'no-identity-policy',
  ],
  [
    'nor one of all but that',
    { keyPolicy: [to(root)], identity: [{ Effect: 'Allow', ...allBut }] },
    'no-identity-policy',
  ],
  [
    'a deny of such a resource denies',
    { keyPolicy: [to(alice)], identity: [deny({ Resource: undecided })] },
    'deny-in-identity-policy',
  ],
  [
    'and one of all but that',
    { keyPolicy: [to(alice)], identity: [{ Effect: 'Deny', ...allBut }] },
    'deny-in-identity-policy',
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

  // A grant allows, and does nothing else.
  ['a grant allows what no policy does', { keyPolicy: [to(`${alice}2`)], grantee: 'caller' }, 'allowed'],
  ['a foreigner, too', { ownerId: other, keyPolicy: [to(other)], grantee: 'caller' }, 'allowed'],
  [
    'a grant to the role of a session, whose session policy does not allow it',
    { keyPolicy: [to(`${alice}2`)], session: bounded, grantee: 'session-owner' },
    'no-session-policy',
  ],
  [
    'a grant to the role, whose boundary does not allow it',
    { keyPolicy: [to(`${alice}2`)], boundary: bounded, grantee: 'session-owner' },
    'no-boundary',
  ],
  ['a grant to the session itself', { keyPolicy: [to(`${alice}2`)], session: bounded, grantee: 'caller' }, 'allowed'],
  ['a deny in the key policy beats it', { keyPolicy: [to(alice, deny())], grantee: 'caller' }, 'deny-in-key-policy'],
  [
    'and one in an identity policy',
    { keyPolicy: [to(root)], identity: [deny()], grantee: 'caller' },
    'deny-in-identity-policy',
  ],
  ['and one in a boundary', { keyPolicy: [to(root)], boundary: [deny()], grantee: 'caller' }, 'deny-in-boundary'],

  // Boundaries and session policies.
  ['a boundary allows nothing by itself', { keyPolicy: [to(root)], boundary: [allow()] }, 'no-identity-policy'],
  ['it bounds identity policies', { keyPolicy: [to(root)], identity: [allow()], boundary: bounded }, 'no-boundary'],
  ['both must allow', { keyPolicy: [to(root)], identity: [allow()], boundary: [allow()] }, 'allowed'],
  ['a deny in it wins', { keyPolicy: [to(alice)], boundary: [deny({ Action: 'kms:Encrypt' })] }, 'deny-in-boundary'],
  ['a user that the key policy names is not bounded', { keyPolicy: [to(alice)], boundary: bounded }, 'allowed'],
  ['nor is everybody, if it names everybody', { who: session, keyPolicy: [to('*')], boundary: bounded }, 'allowed'],
  ['nor is a session that it names', { who: session, keyPolicy: [to(session)], boundary: bounded }, 'allowed'],
  ['a session whose role it names is', { who: session, keyPolicy: [to(role)], boundary: bounded }, 'no-boundary'],
  [
    'a session policy limits identity policies',
    { who: session, keyPolicy: [to(root)], identity: [allow()], session: bounded },
    'no-session-policy',
  ],
  [
    'one of several must allow',
    { who: session, keyPolicy: [to(root)], identity: [allow()], session: [...bounded, allow()] },
    'allowed',
  ],
  [
    'without the identity policy it allows nothing',
    { who: session, keyPolicy: [to(root)], session: [allow()] },
    'no-identity-policy',
  ],
  ['a deny in it wins', { who: session, keyPolicy: [to(session)], session: [deny()] }, 'deny-in-session-policy'],
  ['it limits a named role', { who: session, keyPolicy: [to(role)], session: bounded }, 'no-session-policy'],
  ['and not a named session', { who: session, keyPolicy: [to(session)], session: bounded }, 'allowed'],
  [
    'a role has the path that its session says',
    { who: session, sessionOf: pathRole, keyPolicy: [to(pathRole)] },
    'allowed',
  ],
  ['and not the role without it', { who: session, sessionOf: pathRole, keyPolicy: [to(role)] }, 'no-key-policy'],
  [
    'who federated is limited when the user is named',
    { ...federatedUser, keyPolicy: [to(alice)], session: bounded },
    'no-session-policy',
  ],
  ['and not when the session is', { ...federatedUser, keyPolicy: [to(federated)], session: bounded }, 'allowed'],

  // Across accounts, both sides must allow.
  ['a foreigner needs both', { ownerId: other, keyPolicy: [to(alice)], identity: [allow()] }, 'allowed'],
  ['the key policy may name their account', { ownerId: other, keyPolicy: [to(root)], identity: [allow()] }, 'allowed'],
  ['or everybody', { ownerId: other, keyPolicy: [to('*')], identity: [allow()] }, 'allowed'],
  ['being named is not enough for them', { ownerId: other, keyPolicy: [to(alice)] }, 'no-identity-policy'],
  [
    'nor is their own policy',
    { ownerId: other, keyPolicy: [to(`arn:aws:iam::${other}:root`)], identity: [allow()] },
    'no-key-policy',
  ],
  ['which tells them nothing', { ownerId: other, keyPolicy: [to(other)], identity: [deny()] }, 'no-key-policy'],
  [
    'their boundary holds even if they are named',
    { ownerId: other, keyPolicy: [to(alice)], identity: [allow()], boundary: bounded },
    'no-boundary',
  ],
  ['their root user needs the key policy alone', { who: root, ownerId: other, keyPolicy: [to(root)] }, 'allowed'],

  // NotPrincipal, in a Deny only.
  ['who is left out with their account is not denied', { keyPolicy: [to(alice), except([root, alice])] }, 'allowed'],
  ['who is left out without it is', { keyPolicy: [to(alice), except([alice])] }, 'deny-in-key-policy'],
  ['the account by itself leaves nobody out', { keyPolicy: [to(alice), except([root])] }, 'deny-in-key-policy'],
  ['but its root user', { who: root, keyPolicy: [to(root), except([root])] }, 'allowed'],
  [
    'a session needs itself and its role',
    { who: session, keyPolicy: [to(role), except([root, role, session])] },
    'allowed',
  ],
  ['not its role alone', { who: session, keyPolicy: [to(role), except([root, role])] }, 'deny-in-key-policy'],
  ['nor itself alone', { who: session, keyPolicy: [to(role), except([root, session])] }, 'deny-in-key-policy'],
  [
    'who has a boundary is never left out',
    { keyPolicy: [to(alice), except([root, alice])], boundary: [allow()] },
    'deny-in-key-policy',
  ],
])('%s', (_, question, expected) => {
  expect(ask(question)).toBe(expected);
});
