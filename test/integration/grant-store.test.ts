import { openStore, testMacs } from '@keyfleet/test-support/redis-store';
import { grantStoreContract, newGrant } from '@keyfleet/frontend/grants/grant-store.contract';
import { FEW } from '@keyfleet/frontend/grants/grant-store';
import { RedisGrantStore } from '@keyfleet/frontend/grants/redis-grant-store';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import { permissionsFor } from '@keyfleet/frontend/grants/constraints';
import { grantsAt, ListedGrant, namedEntriesOf } from '@keyfleet/shared/stored/grants';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { describe, expect, test } from 'vitest';

const redis = useRedis();

let now = 0;
const open = () => ({
  keys: openStore({ client: redis.client, writes: redis.writes, clock: { now: Date.now } }),
  grants: new RedisGrantStore({ calls: redis.calls, macs: testMacs(), monotonicClock: { now: () => now } }),
});

describe('the Redis store', () => {
  grantStoreContract(async () => open());
});

describe('records of grants', () => {
  test.each([
    ['half a record', (text: string) => text.slice(0, text.length / 2)],
    ['a member that nobody knows', (text: string) => text.replace('{', '{"surprise":1,')],
    ['the record of another key', (text: string) => text.replace(/"keyId":"./, '"keyId":"x')],
    ['an operation that there is not', (text: string) => text.replace('"Encrypt"', '"kms:*"')],
  ])('%s is a fault that names the grant, never a guess', async (_, damage) => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    const grant = newGrant(key);
    await grants.insert(grant, 9);
    const [at] = grantsAt(key);
    await redis.client.hset(at, grant.grantId, damage((await redis.client.hget(at, grant.grantId))!));
    const reading = grants.find(key, grant.grantId);
    await expect(reading).rejects.toThrow(DamagedRecordError);
    await expect(reading).rejects.toThrow(grant.grantId);
  });

  test('a name that the index has for no such grant keeps none from being made', async () => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    const [at, index] = grantsAt(key);
    const named = newGrant(key, { name: 'volume' });
    const other = newGrant(key);
    await grants.insert(named, 9);
    await grants.insert(other, 9);
    const again = () => newGrant(key, { name: 'volume' });
    expect(await grants.insert(again(), 9)).toEqual({ existing: named.grantId });
    await redis.client.hdel(at, named.grantId);
    const second = again();
    expect(await grants.insert(second, 9)).toBe('done');
    expect((await redis.client.zrange(index, '-', '+', 'BYLEX')).join()).not.toContain(`name ${named.grantId}`);
    await redis.client.hset(at, second.grantId, '{}');
    const third = again();
    expect(await grants.insert(third, 9)).toBe('done');
    await grants.remove(third);
    const begin = namedEntriesOf(ListedGrant.parse(third))!;
    await redis.client.zadd(index, 0, begin + other.grantId);
    const fourth = again();
    expect(await grants.insert(fourth, 9)).toBe('done');
    await grants.remove(fourth);
    await redis.client.zadd(index, 0, Buffer.concat([Buffer.from(begin), Buffer.of(0xff)]));
    await redis.client.hset(at, Buffer.of(0xff), '{}');
    expect(await grants.insert(again(), 9)).toBe('done');
  });

  test('an entry of the index that has no form, or one that is too long or no text, hides no grant', async () => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    const grant = newGrant(key, { constraints: { encryptionContextEquals: [['a', '1']] } });
    await grants.insert(grant, 9);
    const [, index] = grantsAt(key);
    const { to } = permissionsFor(grant.grantee, { operation: 'Encrypt', encryptionContext: { a: '1' } });
    const noText = Array.from({ length: 20 }, (_, i) => Buffer.from([0xff, 0x80 + i]));
    for (const form of ['', 'x'.repeat(9_000), ...noText])
      await redis.client.zadd(index, 0, Buffer.concat([Buffer.from(to), Buffer.from(form)]));
    const looked = grants.candidates(key, grant.grantee, { operation: 'Encrypt', encryptionContext: { a: '1' } });
    expect((await Array.fromAsync(looked)).flat()).toEqual([grant]);
  });

  test('those of an older release are found all the same, and from then on by what they allow', async () => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    const all = Array.from({ length: FEW + 5 }, (_, i) =>
      newGrant(key, { constraints: { encryptionContextSubset: [['volume', `${i}`]] } }),
    );
    for (const grant of all) await grants.insert(grant, 1_000);
    const [, index] = grantsAt(key);
    const added = (await redis.client.zrange(index, 0, '-1')).filter((entry) => /^allow(?:s|ed) /.test(entry));
    expect(added).toHaveLength(3 * all.length);
    await redis.client.zrem(index, ...added);
    const formerly = all.flatMap(({ grantId }) => ['may', 'permitted'].map((word) => `${word} digest ${grantId}`));
    await redis.client.zadd(index, ...formerly.flatMap((entry) => [0, entry]));
    const encrypt = { operation: 'Encrypt', encryptionContext: { volume: '254' } } as const;
    const { grantee } = all[0]!;
    const looked = async () => (await Array.fromAsync(grants.candidates(key, grantee, encrypt))).flat();
    expect((await looked()).length).toBe(all.length);
    expect(await looked()).toEqual([all[254]]);
    expect(await redis.client.zcard(index)).toBe(5 * all.length);
  });

  test('a page of candidates is little work, however many forms there are and however many are alike', async () => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    const formed = Array.from({ length: 40 }, (_, i) =>
      newGrant(key, { constraints: { encryptionContextSubset: [[`n${i}`, '1']] } }),
    );
    const alike = Array.from({ length: 60 }, () => newGrant(key));
    for (const grant of [...formed, ...alike]) await grants.insert(grant, 1_000);
    const { grantee } = alike[0]!;
    const pages = await Array.fromAsync(grants.candidates(key, grantee, { operation: 'Encrypt' }));
    expect(pages.flat()).toHaveLength(alike.length);
    for (const page of pages) expect(page.length).toBeLessThanOrEqual(25);
    // 16 forms each.
    expect(pages.filter((page) => page.length === 0)).toHaveLength(3);
  });

  test('nothing is left of a key that is deleted', async () => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    for (let i = 0; i < 20; i++) await grants.insert(newGrant(key, { name: `n${i}`, retiring: `arn:${i}` }), 50);
    const event = { id: 'a', text: '{}' };
    await keys.deleteKey(key, event);
    await keys.forgetEvents(key, [event]);
    await keys.clearTraces(key);
    await grants.clear(key);
    expect(await redis.client.keys('*')).toEqual([]);
  });

  test('what a crash left in the list of a retiring principal goes when somebody lists, an hour later', async () => {
    const { keys, grants } = open();
    const key = newKey();
    await keys.insertKey(key);
    const retiring = 'arn:aws:iam::111122223333:user/carol';
    const grant = newGrant(key, { retiring });
    await grants.insert(grant, 9);
    await redis.client.del(grantsAt(key)[0]);
    const list = () => grants.listRetirable(key.region, retiring, 9);
    expect(await list()).toEqual({ items: [] });
    expect(await redis.client.keys('kf:retirable:*')).toHaveLength(1);
    now += 3_600_001;
    expect(await list()).toEqual({ items: [] });
    expect(await redis.client.keys('kf:retirable:*')).toEqual([]);
  });
});
