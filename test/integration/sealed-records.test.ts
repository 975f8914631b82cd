import { Acknowledged } from '@keyfleet/frontend/store/acknowledged';
import { newCustomKeyStore } from '@keyfleet/frontend/key-stores/key-store-store.contract';
import { RedisKeyStores } from '@keyfleet/frontend/key-stores/redis-key-stores';
import type { RedisStore } from '@keyfleet/frontend/store/redis-store';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { newAccessKey } from '@keyfleet/frontend/store/store.contract';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { dueShardOf } from '@keyfleet/shared/stored/due-entries';
import { accessKeyAt, firstAccessKeyAt, keyAt, keysAt, keyStoresAt, secretAt } from '@keyfleet/shared/stored/names';
import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { dyingAfter, writesOf } from '@keyfleet/test-support/redis-client';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { newSealedRecords, openStore, testMacs } from '@keyfleet/test-support/redis-store';
import { beforeEach, expect, test } from 'vitest';

const clock = { now: Date.now };
const scope = { accountId: '111122223333', region: 'us-east-1' };

const redis = useRedis();
let client: RedisClient;
let store: RedisStore;
beforeEach(() => {
  ({ client } = redis);
  store = openStore({ client, writes: redis.writes, clock });
});

test('resealing finds what is sealed in the claim of a first access key, until it is stored', async () => {
  const hsm = new FakeHsm();
  const sealed = async () => {
    const { token } = await hsm.execute('GenerateCredential', { accessKeyId: 'AKIA1', principal: 'admin' });
    return Buffer.from(token);
  };
  const key = { ...newAccessKey('AKIA1', '1'), token: await sealed() };
  hsm.sealsUnder = new FakeDomain().active;
  const token = await sealed();
  const dying = openStore({ client, writes: writesOf(dyingAfter(1, client)), clock });
  await expect(dying.insertFirstAccessKey(key)).rejects.toThrow('killed');
  const name = firstAccessKeyAt('1');
  const [claim] = await newSealedRecords(client).load([name]);
  expect(claim).toMatchObject({ name, tokens: [key.token] });
  expect(await claim!.replace([token])).toBe(true);
  expect(await claim!.replace([token])).toBe(false);
  expect(await store.findFirstAccessKey('1')).toEqual({ ...key, token });
  expect(await newSealedRecords(client).load([name])).toEqual([]);
});

test('resealing names a value of another type in the place of a record, and goes on with the others', async () => {
  const key = newKey();
  await store.insertKey(key);
  const [genuine] = await client.keys('kf:key:*');
  const strings = [`kf:key:{us-east-1/${newKey().keyId}}`, keysAt(scope)];
  const lists = [
    'kf:access-key:{AKIA7}',
    firstAccessKeyAt('7'),
    'kf:key-stores:{7/us-east-1}',
    secretAt('record-key-1'),
  ];
  for (const name of strings) await client.set(name, 'x');
  for (const name of lists) await client.rpush(name, 'x');
  const found = await newSealedRecords(client).load([...strings, ...lists, genuine!]);
  expect(found.map(({ name }) => name)).toEqual([strings[0], ...lists, genuine]);
  for (const record of found.slice(0, -1)) {
    expect(record.tokens).toEqual([Buffer.alloc(0)]);
    await expect(record.replace(record.tokens)).rejects.toThrow(`${record.name} is a`);
  }
});

test('records as long as they may be are read a few at a time: what waits to be sent takes the memory of Redis', async () => {
  const names = Array.from({ length: 200 }, () => keyAt('us-east-1', newKey().keyId));
  for (const name of names) await client.hset(name, 'record', 'x'.repeat(1024 * 1024));
  const peak = async () => Number(/used_memory_peak:(\d+)/.exec(await client.info('memory'))![1]);
  const before = await peak();
  const found = await newSealedRecords(client).load(names);
  expect(found).toHaveLength(names.length);
  expect((await peak()) - before).toBeLessThan(80 * 1024 * 1024);
  await client.unlink(...names);
});

test('resealing adds the entry among the due keys that a record lacks', async () => {
  const key = newKey({ state: 'PendingDeletion', deletionDate: Date.now() + 60_000 });
  await store.insertKey(key);
  const list = `kf:due:{${dueShardOf(key)}}`;
  await client.del(list);
  const records = newSealedRecords(client);
  const [record] = await records.load([keyAt(key.region, key.keyId)]);
  await record?.replace(key.backingKeys.map(({ token }) => token!));
  expect(await client.zcard(list)).toBe(1);
  expect(await store.findKey(key.region, key.keyId)).toMatchObject({ revision: 2, state: 'PendingDeletion' });
});

test('an older record that somebody put back is not resealed: it would become the newest', async () => {
  const acknowledged = new Acknowledged();
  const frontend = openStore({ client, writes: writesOf(client), clock, acknowledged });
  const key = newKey();
  const name = keyAt(key.region, key.keyId);
  await frontend.insertKey(key);
  const old = (await client.hget(name, 'record'))!;
  await frontend.updateKey({ ...key, state: 'Disabled' });
  await client.hset(name, { record: old, revision: 1 });
  const [record] = await newSealedRecords(client, { acknowledged }).load([name]);
  await expect(record!.replace(key.backingKeys.map(({ token }) => token!))).rejects.toThrow(
    'revision 2 was acknowledged',
  );
  await expect(frontend.findKey(key.region, key.keyId)).rejects.toThrow('revision 2 was acknowledged');
});

test('what was removed or replaced is not resealed once somebody has put it back: it would outlive its domain key', async () => {
  const acknowledged = new Acknowledged();
  const { calls } = redis;
  const frontend = openStore({ client, writes: redis.writes, clock, acknowledged });
  const keyStores = new RedisKeyStores({ calls, macs: testMacs(), monotonicClock: clock, acknowledged });
  const first = newAccessKey('AKIA1', scope.accountId);
  await frontend.insertFirstAccessKey(first);
  await frontend.insertAccessKey(newAccessKey('AKIA2', scope.accountId));
  await keyStores.replace(await keyStores.find(scope), [newCustomKeyStore('cks-1')]);
  const names = [accessKeyAt('AKIA1'), accessKeyAt('AKIA2'), keyStoresAt(scope)[0]];
  const tokenAt = async (name: string) => {
    const [record] = await newSealedRecords(client, { acknowledged }).load([name]);
    const [token] = record!.tokens;
    return token!.length > 0 ? token : record!.replace([]);
  };
  for (const name of names) expect(await tokenAt(name)).toBeInstanceOf(Uint8Array);
  const old = await client.mget(names);
  await frontend.forgetPolicies('AKIA1');
  await frontend.deleteAccessKey('AKIA2');
  await keyStores.replace(await keyStores.find(scope), []);
  for (const [i, name] of names.entries()) await client.set(name, old[i]!);
  await client.set(firstAccessKeyAt('9'), `AKIA2 ${old[1]}`);
  for (const name of [...names, firstAccessKeyAt('9')]) await expect(tokenAt(name)).rejects.toThrow('acknowledged');
});

test('a record key that names a domain key from after a removal is not brought under it from an older one', async () => {
  const [hsm, domain] = [new FakeHsm(), new FakeDomain()];
  const before = domain.active;
  const named = domain.rotate(0, { afterRemoval: true });
  const records = newSealedRecords(client, { domainState: () => domain.state });
  const sealed = async (number: number, namedId: string, sealsUnder: string) => {
    hsm.sealsUnder = sealsUnder;
    const owner = { accessKeyId: `keyfleet-record-key-${number}/${namedId}`, principal: 'keyfleet:frontends' };
    return Buffer.from((await hsm.execute('GenerateCredential', owner)).token);
  };
  const replaced = async (number: number, token: Buffer) => {
    const name = `kf:secret:{record-key-${number}}`;
    await client.set(name, token);
    const [record] = await records.load([name]);
    return record!.replace([await sealed(number, named, named)]);
  };
  await expect(replaced(2, await sealed(2, named, before))).rejects.toThrow('kf:secret:{record-key-2} is sealed under');
  expect(await replaced(1, await sealed(1, before, before))).toBe(true);
});

test('resealing carries no record key along that no frontend uses, and such a one holds up nothing', async () => {
  const names = [1, 2, 3, 9].map((number) => `kf:secret:{record-key-${number}}`);
  // Under a name that is its own, a record key made in advance would outlive every domain key.
  const others = ['record-key-2/0123', 'record-key-02', 'record-key-', 'x'].map((other) => `kf:secret:{${other}}`);
  for (const name of [...names, ...others]) await client.set(name, 'a token');
  const records = newSealedRecords(client, { uses: async (number) => number === 2 || number === 3 });
  const found = await records.load([...names, ...others]);
  await client.del(...names, ...others);
  expect(found.map(({ name }) => name)).toEqual([names[1], names[2]]);
});

test('of a record key that very value is resealed that was found to be in use', async () => {
  const [name, genuine, planted] = ['kf:secret:{record-key-1}', Buffer.from('genuine'), Buffer.from('planted')];
  const load = async (stored: Buffer, then: Buffer) => {
    await client.set(name, stored);
    const uses = async (_number: number, token: Uint8Array) => {
      await client.set(name, then);
      return genuine.equals(token);
    };
    return newSealedRecords(client, { uses }).load([name]);
  };
  expect(await load(planted, genuine)).toEqual([]);
  expect(await load(genuine, planted)).toMatchObject([{ name, tokens: [genuine] }]);
});

test('a secret of the fleet that stands in a foreign place is not resealed there', async () => {
  const hsm = new FakeHsm();
  const records = newSealedRecords(client);
  const owner = { accessKeyId: 'keyfleet-record-key-1', principal: 'keyfleet:frontends' };
  const { token } = await hsm.execute('GenerateCredential', owner);
  const name = 'kf:secret:{record-key-2}';
  await client.set(name, Buffer.from(token));
  const [secret] = await records.load([name]);
  await expect(secret!.replace([token])).rejects.toThrow(`${name} holds what belongs elsewhere`);
  await client.del(name);

  const accessKeyId = 'AKIAFOREIGN';
  await store.insertAccessKey({ ...newAccessKey(accessKeyId, '1'), token });
  const [accessKey] = await records.load([`kf:access-key:{${accessKeyId}}`]);
  await expect(accessKey!.replace([token])).rejects.toThrow('holds a secret of the fleet');
});
