import { DestructionRecord } from '@keyfleet/frontend/cloudhsm/destruction';
import { BackingKeyRecord, FormerKeyMembers, KeyRecord, RelatedKeysRecord } from '@keyfleet/frontend/store/key-record';
import { AccessKey, AccessKeyUseRecord, AliasRecord, LastUsageRecord } from '@keyfleet/frontend/store/records';
import {
  ClusterKeyStoreRecord,
  ClusterRecord,
  ExternalKeyStoreRecord,
  KeyStoresRecord,
  XksProxyRecord,
} from '@keyfleet/frontend/key-stores/records';
import { storedValues } from '@keyfleet/shared/stored/names';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const formats = readFileSync(join(import.meta.dirname, '../docs/formats.md'), 'utf8');
const section = formats.split(/^## /m).find((text) => text.startsWith('Redis\n'))!;

test('docs/formats.md lists every value in Redis, and none that is gone', () => {
  const described = [...section.matchAll(/^\| `(kf:[^`]+)` +\| (\w+) +\| (\w+) +\|/gm)].map((row) => row.slice(1));
  expect(described).toEqual(Object.values(storedValues).map(({ name, type, role }) => [name, type, role]));
});

test('docs/formats.md lists every field of every record, and none that is gone', () => {
  const table = section.slice(section.indexOf('| record '));
  const described = new Map<string, string[]>();
  let record = '';
  for (const [, first = '', cell = ''] of table.matchAll(/^\| ([a-z ]*)\| (`[^|]+)\|/gm)) {
    record = first.trim() || record;
    const fields = [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name!);
    described.set(record, [...(described.get(record) ?? []), ...fields]);
  }
  const records = {
    key: KeyRecord,
    'former key': FormerKeyMembers,
    'backing key': BackingKeyRecord,
    'related keys': RelatedKeysRecord,
    alias: AliasRecord,
    'access key': AccessKey,
    'custom key stores': KeyStoresRecord,
    'external key store': ExternalKeyStoreRecord,
    proxy: XksProxyRecord,
    'cluster key store': ClusterKeyStoreRecord,
    cluster: ClusterRecord,
    destruction: DestructionRecord,
    'last usage': LastUsageRecord,
    'access key use': AccessKeyUseRecord,
  };
  const sorted = (entries: Iterable<readonly [string, readonly string[]]>) =>
    Object.fromEntries([...entries].map(([name, fields]) => [name, fields.toSorted()]));
  const schemas = Object.entries(records).map(([name, { shape }]) => [name, Object.keys(shape)] as const);
  expect(sorted(described)).toEqual(sorted(schemas));
});
