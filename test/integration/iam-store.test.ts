import { testMacs } from '@keyfleet/test-support/redis-store';
import { iamStoreContract, newPolicy, newRole, newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import { RedisIamStore } from '@keyfleet/frontend/identities/redis-iam-store';
import type { IamRecord } from '@keyfleet/frontend/identities/iam-records';
import { DamagedRecordError, type Page } from '@keyfleet/frontend/store/store';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { describe, expect, test } from 'vitest';

const redis = useRedis();

const open = () => new RedisIamStore({ calls: redis.calls, macs: testMacs() });

describe('the Redis store', () => {
  iamStoreContract(async () => open());

  test.each([
    ['half a record', (text: string) => text.slice(0, text.length / 2)],
    ['a member that nobody knows', (text: string) => text.replace('{', '{"surprise":1,')],
    ['the record of another account', (text: string) => text.replace('111122223333', '999999999999')],
    ['the record of another user', (text: string) => text.replace('"alice"', '"bob"')],
  ])('%s is a fault that names the user, never a guess', async (_, damage) => {
    await open().insert(newUser('alice'), 9);
    const text = await redis.client.hget('kf:iam:{111122223333}', 'user/alice');
    await redis.client.hset('kf:iam:{111122223333}', 'user/alice', damage(text!));
    const reading = open().find('111122223333', 'user', 'alice');
    await expect(reading).rejects.toThrow(DamagedRecordError);
    await expect(reading).rejects.toThrow('kf:iam:{111122223333} user/alice');
  });

  // Whoever shows a role's trust policy looks for each principal that it names.
  const trustPrincipals = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`AIDA${i}`, `arn:${i}`]));
  test.each([
    ['characters', (name: string) => newPolicy(name, 'x'.repeat(100_000))],
    ['principals', (name: string) => newRole(name, { trustPrincipals })],
  ])('a page of many %s ends early, and the pages together have each once', async (_, make) => {
    const store = open();
    const names = Array.from({ length: 40 }, (_, i) => `p${String(i).padStart(2, '0')}`);
    for (const name of names) await store.insert(make(name), 99);
    const { kind } = make('p');
    const pages: string[][] = [];
    let after: string | undefined;
    do {
      const { items, next }: Page<IamRecord> = await store.list('111122223333', kind, 1_000, after);
      pages.push(items.map(({ name }) => name));
      after = next;
    } while (after !== undefined);
    expect(pages.flat()).toEqual(names);
    expect(Math.max(...pages.map((page) => page.length))).toBe(16);
  });
});
