import { error, type Row } from './row.ts';

const allow = { Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::000000000000:root' }, Action: 'kms:*', Resource: '*' };
const text = (...statements: unknown[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const invalidPrincipals = 'Policy contains a statement with one or more invalid principals.';
const noActions = 'Policy statement must contain actions.';
const noResources = 'Policy statement must contain resources.';
const invalidJson = 'This policy contains invalid Json';
const own = (resource: string) => ({ ...allow, Principal: { AWS: `arn:aws:iam::000000000000:${resource}` } });

const refused: readonly (readonly [what: string, policy: string, says: string])[] = [
  ['a statement without Action (A)', text(allow, { ...allow, Action: undefined }), noActions],
  ['an empty list of actions (A)', text(allow, { ...allow, Action: [] }), noActions],
  ['an empty action (A)', text(allow, { ...allow, Action: '' }), noActions],
  ['a statement without Resource (A)', text(allow, { ...allow, Resource: undefined }), noResources],
  ['an empty list of resources (A)', text(allow, { ...allow, Resource: [] }), noResources],
  ['an empty resource (A)', text(allow, { ...allow, Resource: '' }), noResources],
  ['a user of the account that does not exist (A)', text(allow, own('user/nobody')), invalidPrincipals],
  ['a role of the account that does not exist (A)', text(allow, own('role/nobody')), invalidPrincipals],
  [
    "another partition's account (A)",
    text(allow, { ...allow, Principal: { AWS: 'arn:aws-cn:iam::000000000000:root' } }),
    invalidPrincipals,
  ],
  [
    'a service that does not exist (B)',
    text(allow, { ...allow, Principal: { Service: 'nonsense.amazonaws.com' } }),
    invalidPrincipals,
  ],
  ['an empty principal (A)', text(allow, { ...allow, Principal: {} }), invalidPrincipals],
  ['an empty list of principals (A)', text(allow, { ...allow, Principal: { AWS: [] } }), invalidPrincipals],
  [
    'a statement without Principal (C)',
    text(allow, { ...allow, Principal: undefined }),
    'Policy contains a statement with no principal.',
  ],
  ['an element twice', text(allow).replace('"Effect":"Allow"', '"Effect":"Deny","Effect":"Allow"'), invalidJson],
  [
    '__proto__ for an operator',
    text(allow).replace('"Effect"', '"Condition":{"__proto__":{"a":"b"}},"Effect"'),
    invalidJson,
  ],
  [
    'an unknown condition operator',
    text({ ...allow, Condition: { Never: { a: 'b' } } }),
    'Invalid Condition type : Never.',
  ],
  [
    'an action without a vendor',
    text({ ...allow, Action: 'Encrypt' }),
    'Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.',
  ],
  [
    'two statements with one Sid',
    text({ ...allow, Sid: 'a' }, { ...allow, Sid: 'a' }),
    'Statement IDs (SID) in a single policy must be unique.',
  ],
];

export const policyRows: readonly Row[] = refused.flatMap(([what, policy, says]): Row[] =>
  ['CreateKey', 'PutKeyPolicy'].map((operation) => ({
    title: `${operation} of a policy with ${what}`,
    operation,
    body: ({ S2 }) => ({ ...(operation === 'PutKeyPolicy' && { KeyId: S2.id }), Policy: policy }),
    answer: () => error('MalformedPolicyDocumentException', says),
  })),
);
