import { testMacs } from '@keyfleet/test-support/redis-store';
import {
  iamStoreContract,
  newGroup,
  newPolicy,
  newRole,
  newUser,
} from '@keyfleet/frontend/identities/iam-store.contract';
import { RedisIamStore } from '@keyfleet/frontend/identities/redis-iam-store';
import type { IamRecord } from '@keyfleet/frontend/identities/iam-records';
import { DamagedRecordError, type Page } from '@keyfleet/frontend/store/store';
import { iamAt } from '@keyfleet/shared/stored/names';
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

  const links = 'kf:iam-links:{111122223333}';
  const long = 'x'.repeat(9_000);
  const member = (who: string) => `member/group/g/${who}`;

  test('links that no record confirms keep nothing from being removed or renamed', async () => {
    const store = open();
    const group = newGroup('g');
    await store.insert(group, 9);
    await store.insert(newUser('alice', { groups: [] }), 9);
    await store.insert(newUser('forged', { groups: ['g'] }), 9);
    const [records] = iamAt('111122223333');
    await redis.client.hset(records, 'user/forged', '{"kind":"user"}');
    const odd = await testMacs().withMac({ name: records, field: 'user/odd' }, '{"kind":"user"}');
    await redis.client.hset(records, 'user/odd', odd.text);
    await redis.client.hset(records, 'user/bytes', Buffer.of(0xff));
    const planted = ['', 'user/ghost', 'user/alice', 'user/forged', 'user/odd', 'user/bytes', 'user/', 'x', long].map(
      member,
    );
    for (const link of planted) await redis.client.zadd(links, 0, link);
    for (let i = 0; i < 40; i++)
      await redis.client.zadd(links, 0, Buffer.concat([Buffer.from(member('')), Buffer.of(0xff, i)]));
    await store.update({ before: group, record: { ...group, name: 'h' } });
    expect(await redis.client.zrange(links, '-', '+', 'BYLEX')).toEqual([]);
    const renamed = (await store.find('111122223333', 'group', 'h'))!;
    for (const link of planted) await redis.client.zadd(links, 0, link.replace('/g/', '/h/'));
    expect(await store.remove(renamed)).toBe('done');
  });

  test('what is no record, or not authentic, hides none of the others from a list', async () => {
    const store = open();
    await store.insert(newGroup('g'), 9);
    await store.insert(newUser('bob', { groups: ['g'] }), 9);
    await redis.client.hset('kf:iam:{111122223333}', 'user/alice', '{"kind":"user","name":"alice"}');
    for (const field of ['user/alice', 'user/']) await redis.client.zadd('kf:iam-names:{111122223333}', 0, field);
    for (const from of ['', 'x', 'user/alice', 'y/z', 'user/a/b']) await redis.client.zadd(links, 0, member(from));
    const names = ({ items }: Page<IamRecord>) => items.map(({ name }) => name);
    expect(names(await store.list('111122223333', 'user', 9))).toEqual(['bob']);
    expect(names(await store.listLinked('111122223333', 'member/group/g/', 9))).toEqual(['bob']);
    await expect(store.find('111122223333', 'user', 'alice')).rejects.toThrow(DamagedRecordError);
  });

  test('a link that somebody took away is there again after the next change of its record', async () => {
    const store = open();
    await store.insert(newGroup('g'), 9);
    const alice = newUser('alice', { groups: ['g'] });
    await store.insert(alice, 9);
    await redis.client.zadd(links, 0, member('user/ghost'));
    expect(await store.remove((await store.find('111122223333', 'group', 'g'))!)).toBe('linked');
    await redis.client.del(links);
    await store.update({ before: alice, record: { ...alice, path: '/other/' } });
    expect(await store.listLinks('111122223333', 'member/group/g/', 9)).toEqual({ items: ['user/alice'] });
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
