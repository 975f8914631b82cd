import { expect, test } from 'vitest';
import { parseKeyPolicy } from './document.ts';
import { type Decision, evaluate, evaluateKeyPolicy } from './evaluate.ts';

const account = '111122223333';
const alice = `arn:aws:iam::${account}:user/alice`;
const key = `arn:aws:kms:us-east-1:${account}:key/k`;
const A = 'a'.repeat(4_000);
const context = { find: () => A + A };
const requester = { arn: alice, accountId: account, identityPolicies: [] };

const allow = (overrides: object = {}) => ({
  Effect: 'Allow',
  Principal: { AWS: alice },
  Action: 'kms:*',
  Resource: '*',
  ...overrides,
});
const deny = (overrides: object) => allow({ Effect: 'Deny', ...overrides });
const policyOf = (Statement: object) => parseKeyPolicy(JSON.stringify({ Statement }));

function ask(Statement: readonly object[], action = 'kms:Encrypt'): Decision {
  return evaluate({ requester, action, resource: key, ownerId: account, keyPolicy: policyOf(Statement), context });
}

/** Each costs far more than one decision may. */
const costly = (operator: string) => ({
  Condition: { [operator]: { 'k:v': Array.from({ length: 8 }, (_, i) => `*?${A}${i}b*`) } },
});

test('a pattern made to take for ever to match does not', () => {
  const Action = `kms:${'*a'.repeat(500)}b`;
  expect(ask([allow({ Action })], `kms:${'a'.repeat(2000)}`)).toBe('no-key-policy');
});

test.each([
  ['an Allow', allow(costly('StringLike'))],
  ['a Deny', deny(costly('StringLike'))],
  ['an Allow of everything else', allow(costly('StringNotLike'))],
  ['a Deny of everything else', deny(costly('StringNotLike'))],
  ['an Allow where the key is there', allow(costly('StringLikeIfExists'))],
])('a decision that takes too many steps is a denial, also where something else allows: %s', (_, statement) => {
  expect(ask([allow(), statement])).toBe('too-costly');
});

test('a key policy that takes too many steps denies by itself', () => {
  const asked = { requester, action: 'kms:PutKeyPolicy', resource: key, context };
  expect(evaluateKeyPolicy(policyOf(allow(costly('StringLike'))), asked)).toBe('denied');
});
