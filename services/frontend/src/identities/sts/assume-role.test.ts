import { expect, test } from 'vitest';
import { Policies } from '../../policy/policies.ts';
import { sessionCaller } from '../callers.ts';
import type { RoleRecord } from '../iam-records.ts';
import { MemoryIamStore } from '../memory-iam-store.ts';
import type { Admitted, IamDeps } from '../query-operation.ts';
import type { SessionContent } from '../sts-session-token.ts';
import { assumeRole } from './assume-role.ts';

const [ours, theirs] = ['000000000000', '111122223333'];
const arnOf = ({ accountId, name }: RoleRecord): string => `arn:aws:iam::${accountId}:role/${name}`;
const policyOf = (statement: object): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', ...statement } });

interface Of {
  readonly accountId?: string;
  readonly tags?: RoleRecord['tags'];
  /** Of the trust policy. */
  readonly statement: object;
}

function roleOf(name: string, { accountId = ours, tags = [], statement }: Of): RoleRecord {
  return {
    kind: 'role',
    schemaVersion: 1,
    revision: 1,
    accountId,
    name,
    path: '/',
    id: `AROA${name.padEnd(16, '0').toUpperCase()}`,
    createdAt: 0,
    inline: [],
    attached: [],
    tags,
    trustPolicy: policyOf({ Principal: { AWS: theirs }, ...statement }),
    description: '',
    maxSessionSeconds: 3_600,
  };
}

/** Assumes `role` from a session with the tags and transitive keys; returns what the new session holds. */
async function assume(role: RoleRecord, from: Pick<SessionContent, 'tags' | 'transitiveTagKeys'>, given: object = {}) {
  const iam = new MemoryIamStore();
  await iam.insert(role, 10);
  const made: SessionContent[] = [];
  const deps: Pick<IamDeps, 'iam' | 'policies' | 'clock' | 'partition'> & { readonly sessionTokens: object } = {
    iam,
    policies: new Policies(),
    clock: { now: () => Date.UTC(2026, 0, 1) },
    partition: 'aws',
    sessionTokens: { seal: async (content: SessionContent) => `sealed ${made.push(content)}` },
  };
  const own = roleOf('from', { accountId: theirs, tags: [{ key: 'own', value: 'of the role' }], statement: {} });
  const policies = [{ id: 'own', document: policyOf({ Action: '*', Resource: '*' }) }];
  const identity = { record: own, policies, boundary: undefined };
  const caller = sessionCaller({ ...identity, tags: new Map([['own', 'of the role']]) }, arnOf(own), {
    accessKeyId: 'ASIA',
    accountId: theirs,
    kind: 'role',
    name: own.name,
    id: own.id,
    sessionName: 'one',
    issuedAt: 0,
    expiresAt: 1,
    policies: [],
    ...from,
  });
  const call = { caller, region: 'us-east-1', requestId: 'r', sourceIpAddress: '127.0.0.1', isSecure: true };
  const input = { RoleArn: arnOf(role), RoleSessionName: 'two', ...given };
  const admitted = { input, call: { ...call, userAgent: '', deadline: 0 } } as object as Admitted<never, never>;
  await assumeRole.run(admitted, deps as object as IamDeps);
  const [{ tags, transitiveTagKeys }] = made as [SessionContent];
  return { tags, transitiveTagKeys };
}

const red = { tags: [{ key: 'team', value: 'red' }], transitiveTagKeys: ['team'] };
const both = { Action: ['sts:AssumeRole', 'sts:TagSession'] };

test('a role that allows nobody to tag its sessions takes no tags from an earlier session either', async () => {
  const role = roleOf('plain', { tags: [{ key: 'team', value: 'guest' }], statement: { Action: 'sts:AssumeRole' } });
  await expect(assume(role, red)).rejects.toThrow('is not authorized to perform: sts:TagSession on resource');
  expect(await assume(role, { ...red, transitiveTagKeys: [] })).toEqual({ tags: [], transitiveTagKeys: [] });
});

test('a role that allows tags gets those that are transitive, and passes them on', async () => {
  expect(await assume(roleOf('tagged', { statement: both }), red)).toEqual(red);
});

test.each([
  ['aws:RequestTag', { StringEquals: { 'aws:RequestTag/team': 'red' } }],
  ['aws:TagKeys', { 'ForAnyValue:StringEquals': { 'aws:TagKeys': 'team' } }],
  ['sts:TransitiveTagKeys', { 'ForAnyValue:StringEquals': { 'sts:TransitiveTagKeys': 'team' } }],
])('%s sees inherited tags', async (_, Condition) => {
  const role = roleOf('conditional', { statement: { ...both, Condition } });
  expect(await assume(role, red)).toEqual(red);
  await expect(assume(role, { tags: [], transitiveTagKeys: [] })).rejects.toThrow('is not authorized');
});

test('an inherited tag keeps its value', async () => {
  const Tags = [{ Key: 'TEAM', Value: 'blue' }];
  await expect(assume(roleOf('tagged', { statement: both }), red, { Tags })).rejects.toMatchObject({
    queryCode: 'InvalidParameterValue',
    message: expect.stringContaining('conflicts with a transitive tag key from the calling session'),
  });
});

test('only a tag that the new session is given can be transitive', async () => {
  const role = roleOf('tagged', { statement: both });
  const Tags = [{ Key: 'Cost', Value: '1' }];
  expect(await assume(role, red, { Tags, TransitiveTagKeys: ['cost', 'team'] })).toEqual({
    tags: [{ key: 'Cost', value: '1' }, ...red.tags],
    transitiveTagKeys: ['Cost', 'team'],
  });
  await expect(assume(role, red, { Tags, TransitiveTagKeys: ['own'] })).rejects.toMatchObject({
    queryCode: 'InvalidParameterValue',
    message: 'The specified transitive tag key must be included in the requested tags.',
  });
});
