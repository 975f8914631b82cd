import type { EntryRange } from '@keyfleet/shared/redis/stored-values';
import { keyIdOf } from '@keyfleet/shared/stored/key-list';
import { keyAt } from '@keyfleet/shared/stored/names';
import { expect, test } from 'vitest';
import { KeyLists } from './key-lists.ts';
import { Orphans } from './orphans.ts';
import type { RedisCalls } from './redis-calls.ts';

const scope = { accountId: '111122223333', region: 'us-east-1' };

/** Lists in memory, with so many keys. */
async function givenKeys(count: number) {
  const lists = new Map<string, string[]>();
  const missing = new Set<string>();
  const commands = { exists: 0 };
  const client = {
    exists: (...names: string[]) => {
      commands.exists++;
      return Promise.resolve(names.filter((name) => !missing.has(name)).length);
    },
  };
  const calls = {
    read: (command: (of: typeof client) => unknown) => command(client),
    entries: async (list: string, { from, limit }: EntryRange) => {
      const after = from === '-' ? '' : from.slice(1);
      return (lists.get(list) ?? []).toSorted().filter((entry) => entry > after).slice(0, limit); // prettier-ignore
    },
    write: async (command: string, list: string, ...args: unknown[]) => {
      const entries = lists.get(list) ?? [];
      if (command === 'zadd') lists.set(list, [...entries, args[1] as string]);
      else lists.set(list, entries.filter((entry) => entry !== args[0])); // prettier-ignore
    },
  };
  let now = 0;
  const orphans = new Orphans({ now: () => now });
  const keys = new KeyLists(calls as object as RedisCalls, orphans);
  const ids = Array.from({ length: count }, (_, i) => `0a1b2c3d-0000-4000-8000-${String(i).padStart(12, '0')}`);
  for (const [i, keyId] of ids.entries()) await keys.add({ ...scope, keyId, createdAt: i });
  const lose = (keyId: string, region = scope.region) => void missing.add(keyAt(region, keyId));
  const entries = () => [...lists.values()].flat().map(keyIdOf);
  return { keys, ids, lose, commands, entries, pass: (ms: number) => void (now += ms) };
}

test('a page of a thousand keys asks for their records in ten commands', async () => {
  const { keys, ids, commands } = await givenKeys(1_000);
  const { items } = await keys.page(scope, 1_000);
  expect(items.toSorted()).toEqual(ids);
  expect(commands.exists).toBe(10);
});

test('what a crash left in one list says nothing of the same entry in another, whose key is being made', async () => {
  const { keys, ids, lose, entries, pass } = await givenKeys(1);
  const [keyId] = ids;
  const replica = { accountId: scope.accountId, region: 'eu-west-1' };
  lose(keyId!);
  expect((await keys.page(scope, 10)).items).toEqual([]);
  pass(3_600_001);
  await keys.add({ ...replica, keyId: keyId!, createdAt: 0 });
  lose(keyId!, replica.region);
  expect((await keys.page(replica, 10)).items).toEqual([]);
  expect(entries()).toEqual([keyId, keyId]);
  expect((await keys.page(scope, 10)).items).toEqual([]);
  expect(entries()).toEqual([keyId]);
});

test('a key that has no record yet is not in its page, and the others are, and few are looked for one by one', async () => {
  const { keys, ids, lose, commands, entries, pass } = await givenKeys(350);
  lose(ids[123]!);
  const others = ids.filter((_, i) => i !== 123);
  expect((await keys.page(scope, 1_000)).items.toSorted()).toEqual(others);
  expect(commands.exists).toBe(4 + 100);
  expect(entries()).toHaveLength(350);
  pass(3_600_001);
  expect((await keys.page(scope, 1_000)).items.toSorted()).toEqual(others);
  expect(entries().toSorted()).toEqual(others);
});
