import { expect, test } from 'vitest';
import { bindPolicy, principalArnsOf, shownPolicy } from './bound-policy.ts';
import { parseKeyPolicy } from './document.ts';
import { namingOf } from './evaluate.ts';

const account = '111122223333';
const alice = `arn:aws:iam::${account}:user/alice`;
const role = `arn:aws:iam::${account}:role/team/app`;
const session = `arn:aws:sts::${account}:assumed-role/app/one`;
const ids = new Map([
  [alice, 'AIDAALICE'],
  [role, 'AROAAPP'],
  [session, 'AROAAPP:one'],
]);
const usersOf = (known: ReadonlyMap<string, string>) => ({ idOf: async (arn: string) => known.get(arn) });

/** Names in every place, as principals and otherwise; odd spacing, a Statement that is not a list, escapes. */
const documents = [
  `{"Statement" : {"Effect":"Allow","Principal":{"AWS" :"${alice}"},"Action":"kms:*","Resource":"*",
     "Condition":{"ArnEquals":{"aws:PrincipalArn":["${alice}"]}}}}`,
  `{"Id":"${alice}","Statement":[{"Sid":"AWS","Effect":"Deny","NotPrincipal":{"AWS":["${account}","${alice}", "${role}" ]},
     "Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/AWS":"${alice}"}}},
    {"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com","AWS":"${session}"},"Action":["kms:*"],"Resource":"*"}]}`,
  '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}',
];

test.each(documents)('only principals are bound, and shown as they were given: %#', async (document) => {
  const bound = bindPolicy(document, ids);
  const unbound = JSON.stringify(JSON.parse(document, (name, value: unknown) => (name === 'AWS' ? undefined : value)));
  expect(
    JSON.stringify(JSON.parse(bound.document, (name, value: unknown) => (name === 'AWS' ? undefined : value))),
  ).toBe(unbound);
  const named = principalArnsOf(parseKeyPolicy(bound.document));
  expect(named.filter((name) => name.startsWith('arn:'))).toEqual([]);
  expect(named).toEqual(principalArnsOf(parseKeyPolicy(document)).map((arn) => ids.get(arn)));
  expect(await shownPolicy(bound, usersOf(ids), '111122223333')).toBe(document);
});

test('a principal that is gone or was replaced is shown by unique id, and an unknown one by ARN', async () => {
  const document = documents[1]!;
  const bound = bindPolicy(document, new Map([[alice, 'AIDAALICE']]));
  expect(bound.document).toContain(role);
  for (const known of [new Map<string, string>(), new Map([[alice, 'AIDAOTHER']])]) {
    expect(await shownPolicy(bound, usersOf(known), '111122223333')).toBe(bound.document);
  }
});

test('a name with an escape in it is one of a principal all the same', () => {
  const escaped = alice.replace('/', String.raw`\/`);
  const document = `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"${escaped}"},"Action":"kms:*","Resource":"*"}]}`;
  expect(bindPolicy(document, ids).document).toContain('{"AWS":"AIDAALICE"}');
});

test('how a name is shown does not tell whether there is such a principal', async () => {
  const escaped = `{"Statement":{"Principal":{"AWS":"${alice.replace('/', String.raw`\/`)}"}}}`;
  const plain = `{"Statement":{"Principal":{"AWS":"${alice}"}}}`;
  for (const known of [ids, new Map<string, string>()]) {
    expect(await shownPolicy(bindPolicy(escaped, known), usersOf(ids), '111122223333')).toBe(plain);
  }
  // Stored as written by an earlier release.
  expect(await shownPolicy({ document: escaped, principals: undefined }, usersOf(ids), '111122223333')).toBe(plain);
});

test('an id names a user, a role as the owner of its sessions, or one session', () => {
  const one = { arn: session, accountId: account, userId: 'AROAAPP:one', sessionOf: role };
  const of = (...named: string[]) => ({ everyone: false, accounts: new Set<string>(), named: new Set(named) });
  expect(namingOf(of('AROAAPP'), one)).toBe('session-owner');
  expect(namingOf(of('AROAAPP:one'), one)).toBe('caller');
  expect(namingOf(of('AROAAPP:two'), one)).toBe('none');
  expect(namingOf(of('AROAOTHER'), one)).toBe('none');
  expect(namingOf(of('AIDAALICE'), { arn: alice, accountId: account, userId: 'AIDAALICE' })).toBe('caller');
  expect(namingOf(of('AIDAALICE'), { arn: alice, accountId: account, userId: 'AIDAOTHER' })).toBe('none');
});
