import { describe, expect, test } from 'vitest';
import type { RoleRecord } from '../iam-records.ts';
import { MemoryIamStore } from '../memory-iam-store.ts';
import type { IamDeps } from '../query-operation.ts';
import { assumeRoleWithWebIdentity } from './web-identity.ts';

const ISSUER = 'idp.example.com';
const GROUPS = `${ISSUER}:groups`;

function roleOf(condition: object): RoleRecord {
  const statement = {
    Effect: 'Allow',
    Action: 'sts:AssumeRoleWithWebIdentity',
    Principal: { Federated: `arn:aws:iam::111122223333:oidc-provider/${ISSUER}` },
    Condition: condition,
  };
  return {
    kind: 'role',
    schemaVersion: 1,
    revision: 1,
    accountId: '111122223333',
    name: 'release',
    path: '/',
    id: 'AROARELEASE000000000',
    createdAt: 0,
    inline: [],
    attached: [],
    tags: [],
    trustPolicy: JSON.stringify({ Version: '2012-10-17', Statement: statement }),
    description: '',
    maxSessionSeconds: 3_600,
  };
}

/** Whether the role's condition admits a token with these groups. */
async function admits(condition: object, groups: unknown): Promise<boolean> {
  const iam = new MemoryIamStore();
  await iam.insert(roleOf(condition), 10);
  const claims = groups === undefined ? {} : { groups };
  const deps: Pick<IamDeps, 'iam' | 'charged' | 'clock' | 'partition'> &
    Record<'webIdentities' | 'sessionTokens' | 'rates', object> = {
    iam,
    charged: (_, use) => use(iam),
    clock: { now: () => Date.UTC(2026, 0, 1) },
    partition: 'aws',
    rates: { charge: () => {} },
    webIdentities: { verify: async () => ({ issuer: `https://${ISSUER}`, subject: 'me', audience: 'a', claims }) },
    sessionTokens: { seal: async () => 'sealed' },
  };
  const input = {
    RoleArn: 'arn:aws:iam::111122223333:role/release',
    RoleSessionName: 'me',
    WebIdentityToken: 'token',
  };
  const caller = { arn: '', accountId: '', userId: '', accessKeyId: '', policies: [] };
  const call = { caller, region: 'us-east-1', sourceIpAddress: '192.0.2.1', isSecure: true };
  return assumeRoleWithWebIdentity.run({ input, call } as never, deps as IamDeps).then(
    () => true,
    (error: Error) => {
      expect(error.message).toBe('Not authorized to perform sts:AssumeRoleWithWebIdentity');
      return false;
    },
  );
}

describe('a role that wants certain groups and no others, and some', () => {
  const condition = { 'ForAllValues:StringEquals': { [GROUPS]: ['release', '7'] }, Null: { [GROUPS]: 'false' } };
  test.each([
    ['these', ['release'], true],
    ['a number among them', ['release', 7], true],
    ['one alone', 'release', true],
    ['another one', ['other'], false],
    ['another one beside them', ['release', 'other'], false],
    ['another number beside them', ['release', 8], false],
    ['none', undefined, false],
    ['an empty list', [], false],
    ['a list of nothing', [null], false],
    ['an object in the list', ['release', { admin: true }], false],
    ['an object', { release: true }, false],
  ])('is told of %s', async (_, groups, isAdmitted) => {
    expect(await admits(condition, groups)).toBe(isAdmitted);
  });
});

test('a role that wants no groups takes an empty list for none', async () => {
  const condition = { Null: { [GROUPS]: 'true' } };
  expect(await admits(condition, [])).toBe(true);
  expect(await admits(condition, undefined)).toBe(true);
  expect(await admits(condition, ['any'])).toBe(false);
  expect(await admits(condition, [null])).toBe(false);
});
