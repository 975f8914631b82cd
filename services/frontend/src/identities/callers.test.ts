import { expect, test } from 'vitest';
import { sessionCaller } from './callers.ts';
import type { RoleRecord } from './iam-records.ts';

const accountId = '000000000000';
const role: RoleRecord = {
  kind: 'role',
  schemaVersion: 1,
  revision: 1,
  accountId,
  name: 'tagged',
  path: '/',
  id: 'AROATAGGED0000000',
  createdAt: 0,
  inline: [],
  attached: [],
  tags: [],
  trustPolicy: '{}',
  description: '',
  maxSessionSeconds: 3_600,
};

test('a tag of a session takes the place of its role’s tag, in any case, and keeps its own', () => {
  const own = new Map([
    ['Department', 'Marketing'],
    ['Stage', 'test'],
  ]);
  const { tags } = sessionCaller(
    { record: role, policies: [], boundary: undefined, tags: own },
    `arn:aws:iam::${accountId}:role/tagged`,
    {
      accessKeyId: 'ASIA',
      accountId,
      kind: 'role',
      name: role.name,
      id: role.id,
      sessionName: 'one',
      issuedAt: 0,
      expiresAt: 1,
      policies: [],
      tags: [{ key: 'department', value: 'engineering' }],
      transitiveTagKeys: [],
    },
  );
  expect([...tags!]).toEqual([
    ['Stage', 'test'],
    ['department', 'engineering'],
  ]);
});
