import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { consolePolicyOf } from '@keyfleet/test-support/policy/console';
import { expect, test } from 'vitest';
import { defaultKeyPolicy } from './default-key-policy.ts';
import { parseKeyPolicy } from './document.ts';
import { Policies } from './policies.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** A key policy of 32 KB of such items, which `wrap` makes a statement; `seed` makes its text its own. */
function policyOf(item: (i: number) => string, wrap: (items: string) => string, seed: number): string {
  const document = (statements: string) => `{"Version":"2012-10-17","Id":"${seed}","Statement":[${statements}]}`;
  const items: string[] = [];
  for (let i = 0, length = 400; length < 32_000; i++) {
    items.push(item(i));
    length += items.at(-1)!.length + 1;
  }
  return document(wrap(items.join(',')));
}

const statement = (members: string) => `{"Effect":"Deny","Principal":"*",${members}}`;
const all = '"Action":"kms:*","Resource":"*"';
const condition = (operator: string, key: string) => (values: string) =>
  statement(`${all},"Condition":{"${operator}":{"${key}":[${values}]}}`);
const like = condition('StringLike', 'kms:ViaService');
const short = (i: number) => i.toString(36);

const shapes: Record<string, readonly [item: (i: number) => string, wrap: (items: string) => string]> = {
  statements: [() => statement(all), (items) => items],
  principals: [
    (i) => `"arn:aws:iam::111122223333:user/${short(i)}"`,
    (items) => `{"Effect":"Deny","Principal":{"AWS":[${items}]},${all}}`,
  ],
  actions: [(i) => `"kms:*${short(i)}"`, (items) => statement(`"Action":[${items}],"Resource":"*"`)],
  'actions of question marks': [
    (i) => `"kms:${short(i)}${'?'.repeat(1 + (i % 3))}"`,
    (items) => statement(`"Action":[${items}],"Resource":"*"`),
  ],
  resources: [(i) => `"arn:aws:kms:*:*:*${short(i)}"`, (items) => statement(`"Action":"kms:*","Resource":[${items}]`)],
  prefixes: [(i) => `"kms:${short(i)}*"`, (items) => statement(`"Action":[${items}],"Resource":"*"`)],
  'patterns of ARNs': [(i) => `"arn:*:*:*:*:${short(i)}*"`, condition('ArnLike', 'aws:PrincipalArn')],
  'patterns of ARNs with something in each part': [
    (i) => `"arn:${short(i)}*:*?:*a*:*b*:*c*"`,
    condition('ArnLike', 'aws:PrincipalArn'),
  ],
  'patterns of ARNs with both wildcards': [
    (i) => `"arn:*?*?:?*?*:*?${short(i)}:?*?:*?*?"`,
    condition('ArnLike', 'aws:PrincipalArn'),
  ],
  'resources with variables': [
    (i) => `"arn:\${a:b}:\${a:b}:\${a:b}:\${a:b}:*\${a:b}${short(i)}"`,
    (items) => statement(`"Action":"kms:*","Resource":[${items}]`),
  ],
  patterns: [(i) => `"*${short(i)}*?"`, like],
  'long patterns': [(i) => `"${'*a'.repeat(20)}${short(i)}"`, like],
  'patterns of both wildcards': [(i) => `"${'*a?'.repeat(20)}${short(i)}"`, like],
  texts: [(i) => `"${short(i)}"`, condition('StringEquals', 'kms:ViaService')],
  variables: [(i) => `"\${a:b}${short(i)}"`, like],
  addresses: [(i) => `"::${(i % 65_535).toString(16)}"`, condition('IpAddress', 'aws:SourceIp')],
  conditions: [
    (i) => statement(`${all},"Condition":{"StringNotLikeIfExists":{"a:${short(i)}":"a*"}}`),
    (items) => items,
  ],
  keys: [
    (i) => `"aws:PrincipalTag/${short(i)}":"a"`,
    (items) => statement(`${all},"Condition":{"StringEquals":{${items}}}`),
  ],
};

/** What is taken while `work` runs and its result is kept. */
function takenBy<T>(work: () => T): { readonly kept: T; readonly taken: number } {
  collect();
  const before = process.memoryUsage().heapUsed;
  const kept = work();
  collect();
  return { kept, taken: process.memoryUsage().heapUsed - before };
}

test.each(Object.entries(shapes))('a policy of %s takes no more memory than it says', (_, [item, wrap]) => {
  const texts = Array.from({ length: 24 }, (_text, seed) => policyOf(item, wrap, seed));
  const { kept, taken } = takenBy(() => texts.map(parseKeyPolicy));
  expect(taken).toBeLessThan(kept.reduce((sum, { bytes }) => sum + bytes, 0));
});

test.each([
  ['AWS makes for a new key', (i: number) => defaultKeyPolicy('aws', `${111_122_220_000 + i}`)],
  ["AWS's console makes", consolePolicyOf],
])('a policy as %s takes no more memory than it says, and not much less', (_, policyOfOne) => {
  const texts = Array.from({ length: 2_000 }, (_text, i) => policyOfOne(i));
  const { kept, taken } = takenBy(() => texts.map(parseKeyPolicy));
  const said = kept.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(taken).toBeLessThan(said);
  expect(taken).toBeGreaterThan(said * 0.6);
});

/** The limit of those that are kept compiled, and one more of them. */
const LIMIT = 64 * 1024 * 1024 + 16_000_000;

test('of the policies that callers use one after the other few are kept, if they take much', () => {
  const [item, wrap] = shapes['patterns of ARNs']!;
  const texts = Array.from({ length: 40 }, (_, seed) => policyOf(item, wrap, seed));
  const { taken } = takenBy(() => {
    const policies = new Policies();
    for (const text of texts) policies.keyPolicy({ policy: text, accountId: '111122223333' });
    return policies;
  });
  expect(taken).toBeLessThan(LIMIT);
});

test('nor are those of callers who are still known', () => {
  const own = (i: number) => {
    const Resource = Array.from({ length: 90 }, () => 'arn:*:*:*:*:*');
    return JSON.stringify({ Version: '2012-10-17', Id: `${i}`, Statement: { Effect: 'Allow', Action: '*', Resource } });
  };
  const callers = Array.from({ length: 400 }, (_, i) => ({
    arn: `arn:aws:iam::111122223333:user/${i}`,
    accountId: '111122223333',
    userId: `AIDA${i}`,
    policies: [own(i)],
  }));
  const { taken } = takenBy(() => {
    const policies = new Policies();
    for (const caller of callers) policies.requester(caller as Parameters<Policies['requester']>[0]);
    return { policies, callers };
  });
  expect(taken).toBeLessThan(LIMIT);
});
