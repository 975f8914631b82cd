// How long the costliest policies hold the event loop: node bench/micro/policy-worst.ts. Key policies of the greatest
// length against encryption contexts of the greatest length, both from somebody who wants them to cost much. Prints the
// decision and its CPU milliseconds, the mean of a few in a process that has made none like it before.
import { Encrypt } from '@keyfleet/shared/api/cipher';
import type { Policy } from '@keyfleet/frontend/policy/document';
import { type AccessRequest, evaluate } from '@keyfleet/frontend/policy/evaluate';
import { kmsKeys } from '@keyfleet/frontend/policy/kms-keys';
import { Policies } from '@keyfleet/frontend/policy/policies';

const POLICY_BYTES = 32_768;
const CONTEXT_CHARACTERS = 8_192;
const ROUNDS = 5;
const account = '111122223333';
const keys = 'kms:EncryptionContextKeys';

type Context = Readonly<Record<string, string>>;

const policies = new Policies();
const requester = { arn: `arn:aws:iam::${account}:user/app`, accountId: account, identityPolicies: [] };

/** A condition with as many of `parts` as a key policy holds. */
function policyOf(build: (parts: readonly string[]) => object, part: (i: number) => string): string {
  const textOf = (count: number): string => {
    const Condition = build(Array.from({ length: count }, (_, i) => part(i)));
    const statement = { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*', Condition };
    return JSON.stringify({ Version: '2012-10-17', Statement: statement });
  };
  let [fits, many] = [1, POLICY_BYTES];
  while (many - fits > 1) {
    const middle = (fits + many) >> 1;
    if (textOf(middle).length <= POLICY_BYTES) fits = middle;
    else many = middle;
  }
  return textOf(fits);
}

const listed = (operator: string, key: string) => (parts: readonly string[]) => ({ [operator]: { [key]: parts } });

/** Names of condition keys are the same in any case, so that one policy can ask for one key a thousand times. */
function inOtherCase(name: string, i: number): string {
  return Array.from(name, (c, at) => ((i >> (at % 12)) & 1 ? c.toUpperCase() : c.toLowerCase())).join('');
}

const value = (text: string): Context => ({ a: text.slice(0, CONTEXT_CHARACTERS - 1) });
const manyNames: Context = Object.fromEntries(
  Array.from({ length: CONTEXT_CHARACTERS }, (_, i) => [String.fromCodePoint(0x4e00 + i), '']),
);
const a = 'a'.repeat(CONTEXT_CHARACTERS);

const cases: Readonly<Record<string, readonly [policy: string, context: Context]>> = {
  'long patterns, one value': [
    policyOf(listed('StringLike', 'kms:EncryptionContext:a'), (i) => `*${a.slice(0, 4_000 + i)}b`),
    value(a),
  ],
  'long patterns with ?, one value': [
    policyOf(listed('StringLike', 'kms:EncryptionContext:a'), (i) => `*?${a.slice(0, 4_000 + i)}b*`),
    value(a),
  ],
  'short patterns, one value': [
    policyOf(listed('StringLike', 'kms:EncryptionContext:a'), (i) => `*a*b${i}*`),
    value(a),
  ],
  'patterns of many stars, one value': [
    policyOf(listed('StringLike', 'kms:EncryptionContext:a'), () => '*a*a*a*a*a*a*b*'),
    value(a),
  ],
  'short patterns, many names': [policyOf(listed('ForAnyValue:StringLike', keys), (i) => `*${i}*`), manyNames],
  'prefixes, many names': [policyOf(listed('ForAnyValue:StringLike', keys), (i) => `${i}*`), manyNames],
  'ARNs, many names': [policyOf(listed('ForAnyValue:ArnLike', keys), () => 'arn:a:b:::*'), manyNames],
  'ARNs, a value of colons': [
    policyOf(listed('ArnLike', 'kms:EncryptionContext:a'), () => 'arn:a:b:::*'),
    value(':'.repeat(CONTEXT_CHARACTERS)),
  ],
  'one key asked for again and again, many names': [
    policyOf(
      (parts) => ({ 'ForAllValues:StringNotLike': Object.fromEntries(parts.map((part) => [part, '!'])) }),
      (i) => inOtherCase(keys, i),
    ),
    manyNames,
  ],
  'many pairs asked for, many names': [
    policyOf(
      (parts) => ({ StringNotLike: Object.fromEntries(parts.map((part) => [part, '!'])) }),
      (i) => `kms:EncryptionContext:${i}`,
    ),
    manyNames,
  ],
  'letters in either case, one value': [
    policyOf(
      (parts) => ({ StringNotEqualsIgnoreCase: Object.fromEntries(parts.map((part) => [part, '!'])) }),
      (i) => inOtherCase('kms:EncryptionContext:a', i),
    ),
    value('A'.repeat(CONTEXT_CHARACTERS)),
  ],
  'variables, one long value': [
    policyOf(listed('StringLike', 'kms:EncryptionContext:a'), () => '*${kms:EncryptionContext:b}*'),
    { a: a.slice(0, 5_400), b: `${a.slice(0, 2_700)}b` },
  ],
  'variables, fixed texts': [
    policyOf(listed('StringEquals', 'kms:EncryptionContext:a'), () => '${kms:EncryptionContext:b}'),
    { a: a.slice(0, 4_000), b: `${a.slice(0, 4_000)}b` },
  ],
};

for (const [name, [text, context]] of Object.entries(cases)) {
  const keyPolicy = policies.keyPolicy({ policy: text, accountId: '111122223333' });
  let decision = '';
  const from = process.threadCpuUsage();
  for (let i = 0; i < ROUNDS; i++) decision = evaluate(requestWith(keyPolicy, context));
  const { user, system } = process.threadCpuUsage(from);
  console.log(`${name}: ${decision}, ${((user + system) / 1_000 / ROUNDS).toFixed(1)} ms`);
}

function requestWith(keyPolicy: Policy, context: Context): AccessRequest {
  const facts = {
    caller: { arn: requester.arn, accountId: account, userId: 'AIDA', policies: [] },
    region: 'us-east-1',
    sourceIpAddress: '10.1.2.3',
    isSecure: true,
    userAgent: '',
    now: 0,
    ownerId: account,
    requestTags: [],
    resourceTags: [],
    tagKeys: [],
    operation: Encrypt.name,
    action: 'kms:Encrypt',
    input: { EncryptionContext: context },
    about: 'key',
  } as const;
  return {
    requester,
    action: 'kms:Encrypt',
    resource: `arn:aws:kms:us-east-1:${account}:key/1234abcd-12ab-34cd-56ef-1234567890ab`,
    ownerId: account,
    keyPolicy,
    context: kmsKeys.contextOf(facts),
  };
}
