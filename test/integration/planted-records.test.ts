import { pagesOfRecords } from '@keyfleet/cli/records';
import { Unlisted } from '@keyfleet/cli/unlisted';
import { newGrant } from '@keyfleet/frontend/grants/grant-store.contract';
import { permissionsFor } from '@keyfleet/frontend/grants/constraints';
import { RedisGrantStore } from '@keyfleet/frontend/grants/redis-grant-store';
import { newGroup, newUser } from '@keyfleet/frontend/identities/iam-store.contract';
import { AccountVersions } from '@keyfleet/frontend/identities/account-versions';
import { Identities } from '@keyfleet/frontend/identities/identities';
import { IAM_QUOTAS } from '@keyfleet/frontend/identities/quotas';
import { RedisIamStore } from '@keyfleet/frontend/identities/redis-iam-store';
import { newCustomKeyStore } from '@keyfleet/frontend/key-stores/key-store-store.contract';
import { RedisKeyStores } from '@keyfleet/frontend/key-stores/redis-key-stores';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import { RedisFleetSecrets } from '@keyfleet/frontend/store/redis-fleet-secrets';
import { newAccessKey } from '@keyfleet/frontend/store/store.contract';
import { systemClock } from '@keyfleet/shared/clock';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { grantsAt, ListedGrant, namedEntriesOf, retirableAt } from '@keyfleet/shared/stored/grants';
import { entryOf, keyListAt } from '@keyfleet/shared/stored/key-list';
import { aliasesAt, iamAt, keyAt, keyStoresAt } from '@keyfleet/shared/stored/names';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { openStore, testMacs } from '@keyfleet/test-support/redis-store';
import { beforeEach, describe, expect, test } from 'vitest';

// Whoever once wrote to Redis put something among the records, or took them out of lists.

const redis = useRedis();
let client: RedisClient;
beforeEach(() => ({ client } = redis));

const scope = { accountId: '111122223333', region: 'us-east-1' };
const key = newKey();

describe.each(['', '{}', 'x', 'x'.repeat(9_000)])('%j in the place of one record', (junk) => {
  test('of an alias hides none of the others, and who asks for the aliases of its key hears that one is missing', async () => {
    const passedOver: string[] = [];
    const events = { aliasPassedOver: ({ message }: Error) => void passedOver.push(message) };
    const store = openStore({ client, writes: redis.writes, clock: systemClock, events });
    const at = { targetKeyId: key.keyId, createdAt: 1, updatedAt: 1 };
    for (const name of ['alias/a', 'alias/b']) await store.insertAlias(scope, { ...at, name }, 9);
    const [aliases, names, targets] = aliasesAt(scope);
    await client.hset(aliases, 'alias/0', junk);
    await client.zadd(names, 0, 'alias/0');
    const listed = async (limit: number, of?: string) => {
      const { items, ...rest } = await store.listAliases(scope, limit, undefined, of);
      return { names: items.map(({ name }) => name), ...rest };
    };
    const all = ['alias/a', 'alias/b'];
    expect(await listed(10)).toEqual({ names: all, isLacking: true });
    expect(await listed(2)).toEqual({ names: ['alias/a'], next: 'alias/a', isLacking: true });
    expect(await listed(10, key.keyId)).toEqual({ names: all });
    await client.zadd(targets, 0, `${key.keyId}/alias/0`);
    expect(await listed(10, key.keyId)).toEqual({ names: all, isLacking: true });
    for (const message of passedOver) expect(message).toContain(`${aliases} alias/0`);
    await store.clearTraces(key);
    expect(await listed(10, key.keyId)).toEqual({ names: [] });
  });

  test('of a grant or a user hides none of the others', async () => {
    const { calls, writes } = redis;
    await openStore({ client, writes, clock: systemClock }).insertKey(key);
    const deps = { calls, macs: testMacs(), monotonicClock: systemClock };
    const [iam, grants] = [new RedisIamStore(deps), new RedisGrantStore(deps)];
    const [grant, alice] = [newGrant(key), newUser('alice')];
    await grants.insert(grant, 9);
    await iam.insert(alice, 9);
    const [[records, index], [users, names]] = [grantsAt(key), iamAt(alice.accountId)];
    for (const [name, field, list, entry] of [
      [records, '0', index, 'id 0'],
      [users, 'user/0', names, 'user/0'],
    ] as const) {
      await client.hset(name, field, junk.repeat(200));
      await client.zadd(list, 0, entry);
    }
    expect((await grants.list(key, undefined, 10)).items).toEqual([grant]);
    expect((await iam.list(alice.accountId, 'user', 10)).items.map(({ name }) => name)).toEqual(['alice']);
  });
});

/** Puts one byte, which is read as U+FFFD, in the place of that; returns what is said of it. */
async function spoil(name: string, field?: string): Promise<string> {
  const stored = await (field === undefined ? client.getBuffer(name) : client.hgetBuffer(name, field));
  const bytes = Buffer.from(stored!.toString('latin1').replace('\xef\xbf\xbd', '\xff'), 'latin1');
  expect(bytes.length).toBe(stored!.length - 2);
  await (field === undefined ? client.set(name, bytes) : client.hset(name, field, bytes));
  return `the record ${field === undefined ? name : `${name} ${field}`} is not authentic: it is no UTF-8`;
}

test('a byte that is no UTF-8 in the place of U+FFFD, which it is read as, is not authentic, and hides nothing', async () => {
  const { calls, writes } = redis;
  const store = openStore({ client, writes, clock: systemClock });
  const deps = { calls, macs: testMacs(), monotonicClock: systemClock };
  const [iam, keyStores, grants] = [new RedisIamStore(deps), new RedisKeyStores(deps), new RedisGrantStore(deps)];
  const [alice, group, grant] = [newUser('alice', { groups: ['g'] }), newGroup('g'), newGrant(key, { name: '\uFFFD' })];
  await store.insertKey({ ...key, description: '\uFFFD' });
  await store.keepLastUsages([{ ...key, usage: { operation: 'Encrypt', usedAt: 1, requestId: 'r', eventId: 'e' } }]);
  for (const record of [group, { ...alice, inline: [{ name: 'p', document: '"\uFFFD"' }] }, newUser('bob')])
    await iam.insert(record, 9);
  await grants.insert(grant, 9);
  await keyStores.replace(await keyStores.find(scope), [newCustomKeyStore('cks-1', { name: '\uFFFD' })]);

  const spoiled: [string, () => Promise<unknown>][] = [
    [await spoil(keyAt(key.region, key.keyId), 'record'), () => store.findKey(key.region, key.keyId)],
    [await spoil(iamAt(alice.accountId)[0], 'user/alice'), () => iam.find(alice.accountId, 'user', 'alice')],
    [await spoil(keyStoresAt(scope)[0]), () => keyStores.find(scope)],
    [await spoil(grantsAt(key)[0], grant.grantId), () => grants.find(key, grant.grantId)],
  ];
  for (const [said, read] of spoiled) await expect(read()).rejects.toThrow(said);
  expect((await iam.list(alice.accountId, 'user', 9)).items.map(({ name }) => name)).toEqual(['bob']);
  expect(await iam.remove(group)).toBe('done');
  const [places, damages]: [string[], string[]] = [[], []];
  for await (const { records, damaged } of pagesOfRecords(client, calls)) {
    places.push(...records.map(({ place }) => place.field ?? place.name));
    damages.push(...damaged);
  }
  expect(places.toSorted()).toEqual(['lastUsage', 'user/bob']);
  expect(damages.map((one) => one.split('. ')[0]!).toSorted()).toEqual(spoiled.map(([said]) => said).toSorted());
});

test('records that are in force and in no list are named, each once, and no others', async () => {
  const { calls, writes } = redis;
  const store = openStore({ client, writes, clock: systemClock });
  const deps = { calls, macs: testMacs(), monotonicClock: systemClock };
  const [iam, grants] = [new RedisIamStore(deps), new RedisGrantStore(deps)];
  const seen = newKey();
  for (const one of [key, seen]) await store.insertKey(one);
  const aliasScope = { accountId: key.accountId, region: key.region };
  const at = { targetKeyId: key.keyId, createdAt: 1, updatedAt: 1 };
  for (const name of ['alias/ghost', 'alias/seen']) await store.insertAlias(aliasScope, { ...at, name }, 9);
  for (const name of ['ghost', 'seen']) await iam.insert(newUser(name), 9);
  const [users, userNames] = iamAt(seen.accountId);
  const [ghostGrant, seenGrant] = [newGrant(key), newGrant(key, { retiring: 'p' })];
  for (const grant of [ghostGrant, seenGrant]) await grants.insert(grant, 9);
  await store.insertFirstAccessKey(newAccessKey('AKIA1', '1'));
  // The first of an account that has users, as a former frontend may say, which made the access key.
  await store.insertFirstAccessKey(newAccessKey('AKIA4', seen.accountId));
  for (const id of ['AKIA2', 'AKIA3']) await store.insertAccessKey(newAccessKey(id, '1'));
  await store.forgetPolicies('AKIA3');
  const odd = await testMacs().withMac({ name: users, field: 'user/odd' }, '{"a":1}');
  await client.hset(users, 'user/odd', odd.text);
  const [aliases, names] = aliasesAt(aliasScope);
  const [records, index] = grantsAt(key);
  await client.zrem(names, 'alias/ghost');
  await client.zrem(userNames, 'user/ghost');
  await client.zrem(index, `id ${ghostGrant.grantId}`);
  await client.unlink(keyListAt(key, key.keyId));
  const unlisted = new Unlisted(client);
  for await (const page of pagesOfRecords(client, calls)) {
    const verified = page.records.map(async ({ place, stored }) => ({
      place,
      stored,
      record: await testMacs().verified(place, stored),
    }));
    await unlisted.look(await Promise.all(verified));
  }
  await client.zadd(keyListAt(seen, seen.keyId), 0, entryOf(seen));
  const told = await unlisted.problems();
  expect(told.map((text) => text.split(/ is | has /)[0]!).toSorted()).toEqual(
    [
      keyAt(key.region, key.keyId),
      `${aliases} alias/ghost`,
      `${users} user/ghost`,
      `${records} ${ghostGrant.grantId}`,
      `${users} user/odd`,
      'kf:access-key:{AKIA2}',
      'kf:access-key:{AKIA4}',
    ].toSorted(),
  );
});

test('an authentic value that is no record ends no look for what lists lack, and is named', async () => {
  const unlisted = new Unlisted(redis.client);
  const places = [
    { name: keyAt(key.region, key.keyId), field: 'record' },
    { name: iamAt(key.accountId)[0], field: 'user/x' },
    { name: grantsAt(key)[0], field: '0' },
    { name: 'kf:access-key:{AKIA3}' },
  ];
  const name = 'n'.repeat(300_000);
  const bomb = JSON.stringify({ kind: 'user', name, groups: Array.from({ length: 100_000 }, () => 'g') });
  for (const record of ['{}', 'x', 'null', '[]', bomb]) {
    await unlisted.look(places.map((place) => ({ place, stored: record, record })));
  }
  const told = new Set((await unlisted.problems()).map((text) => text.split(' is authentic, and no record')[0]));
  expect([...told]).toEqual(places.map(({ name, field }) => (field && field !== 'record' ? `${name} ${field}` : name)));
});

test('what nobody wrote among the grants of a key hides none, and is gone with the key', async () => {
  const { calls, client, writes } = redis;
  const store = openStore({ client, writes, clock: systemClock });
  const grants = new RedisGrantStore({ calls, macs: testMacs(), monotonicClock: systemClock });
  const key = newKey();
  await store.insertKey(key);
  const grant = newGrant(key, { retiring: 'p' });
  await grants.insert(grant, 9);
  const [records, index] = grantsAt(key);
  // Beside each of its entries one of another grant, which sorts before it and has no MAC.
  for (const list of [index, retirableAt(key.region, 'p')]) {
    const entries = await client.zrange(list, '0', '-1');
    const planted = entries.filter((entry) => entry.includes(grant.grantId));
    expect(planted).not.toEqual([]);
    for (const entry of planted) await client.zadd(list, 0, entry.replace(grant.grantId, '0'));
  }
  await client.hset(records, '0', '{}');
  const candidates: string[] = [];
  const [operation] = grant.operations;
  for await (const page of grants.candidates(key, grant.grantee, {
    operation: operation!,
    encryptionContext: undefined,
  })) {
    candidates.push(...page.map(({ grantId }) => grantId));
  }
  expect(candidates).toEqual([grant.grantId]);
  expect((await grants.list(key, undefined, 9)).items).toEqual([grant]);
  expect(await grants.grantsOf(key, grant.grantee)).toEqual([grant]);
  expect((await grants.listRetirable(key.region, 'p', 9)).items).toEqual([grant]);
  await grants.clear(key);
  expect(await client.exists(records, index)).toBe(0);
});

test('what is long, or many, among the events of a key keeps nobody from recording what was done to it', async () => {
  const store = openStore({ client, writes: redis.writes, clock: systemClock });
  await store.insertKey(key);
  await store.deleteKey(key, { id: 'event', text: '{"a":1}' });
  const at = `kf:deletion:{${key.region}/${key.keyId}}`;
  const long = 'x'.repeat(2_000_000);
  await client.hset(at, { a: long, [long]: 'x', claimedUntil: long });
  await client.hset(at, Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`junk-${i}`, 'x'])));
  const sent = await sentBytes();
  const damaged = new Set<string>();
  const onDamaged = ({ message }: Error): void => void damaged.add(message);
  const events = await store.claimEvents(key, { now: 1, until: 2, onDamaged });
  expect(events).toEqual([{ id: 'event', text: '{"a":1}' }]);
  expect(damaged.size).toBe(1_002);
  expect((await sentBytes()) - sent).toBeLessThan(200_000);
  await store.forgetEvents(key, events);
  expect(await client.hexists(at, 'event')).toBe(0);
});

test('of a list that somebody filled each step of Redis looks at a part, and all is done', async () => {
  const { calls, writes } = redis;
  const store = openStore({ client, writes, clock: systemClock });
  const deps = { calls, macs: testMacs(), monotonicClock: systemClock };
  const [iam, grants] = [new RedisIamStore(deps), new RedisGrantStore(deps)];
  await store.insertKey(key);
  const [, index] = grantsAt(key);
  const fill = (list: string, prefix: string, end = '') =>
    client.zadd(
      list,
      ...Array.from({ length: 600 }, (_, i) => [0, `${prefix}${String(i).padStart(9, '0')}${end}`]).flat(),
    );
  const named = newGrant(key, { name: 'volume' });
  await fill(index, namedEntriesOf(ListedGrant.parse(named))!);
  expect(await grants.insert(named, 9)).toBe('done');
  const question = { operation: 'Encrypt', encryptionContext: {} } as const;
  const { to } = permissionsFor(named.grantee, question);
  await fill(index, to, 'x'.repeat(8_300));
  await fill(index, `${to} `);
  expect((await Array.fromAsync(grants.candidates(key, named.grantee, question))).flat()).toEqual([named]);
  const group = newGroup('g');
  await iam.insert(group, 9);
  const links = iamAt(group.accountId)[2];
  for (const end of ['', 'x'.repeat(8_300)]) await fill(links, 'member/group/g/user/', end);
  await expect.poll(() => iam.remove(group)).toBe('done');
  const [aliases, names, targets] = aliasesAt(scope);
  await fill(targets, `${key.keyId}/alias/`);
  await store.insertAlias(scope, { name: 'alias/z', targetKeyId: key.keyId, createdAt: 1, updatedAt: 1 }, 1_000);
  await store.clearTraces(key);
  expect(await client.exists(aliases, names, targets, links)).toBe(0);
});

test('a long field beside a record, or among the keys that frontends share, is sent to nobody', async () => {
  const store = openStore({ client, writes: redis.writes, clock: systemClock });
  const secrets = new RedisFleetSecrets(redis.calls);
  await store.insertKey(key);
  const long = 'x'.repeat(10_000_000);
  await client.hset(keyAt(key.region, key.keyId), { due: long, usedAt: long });
  await secrets.insertFleetKey('f', 'ab', Buffer.of(1));
  await client.hset('kf:fleet-keys:{f}', long, 'x');
  const sent = await sentBytes();
  const usage = { operation: 'Encrypt', usedAt: Date.now(), requestId: 'r', eventId: 'e' } as const;
  await store.keepLastUsages([{ region: key.region, keyId: key.keyId, usage }]);
  expect(await store.updateKey(key)).toMatchObject({ revision: key.revision + 1 });
  expect(await store.findLastUsage(key.region, key.keyId)).toEqual(usage);
  expect(await secrets.listFleetKeys('f', ['ab', 'cd'])).toEqual(['ab']);
  expect((await sentBytes()) - sent).toBeLessThan(8_000);
});

test('what nobody wrote among the events of a key keeps none of them from being recorded', async () => {
  const { client, writes } = redis;
  const store = openStore({ client, writes, clock: systemClock });
  const [key, other] = [newKey(), newKey()];
  for (const one of [key, other]) {
    await store.insertKey(one);
    await store.deleteKey(one, { id: 'event', text: `{"of":"${one.keyId}"}` });
  }
  const at = `kf:deletion:{${key.region}/${key.keyId}}`;
  const copied = await client.hget(`kf:deletion:{${other.region}/${other.keyId}}`, 'event');
  await client.hset(at, { a: '{}', another: copied!, x: 'x' });
  const damaged: string[] = [];
  const onDamaged = ({ message }: Error): void => void damaged.push(message);
  const claim = { now: 1, until: 2, onDamaged };
  const events = await store.claimEvents(key, claim);
  expect(events).toEqual([{ id: 'event', text: `{"of":"${key.keyId}"}` }]);
  expect(damaged.toSorted()).toEqual(
    ['a', 'another', 'x'].map(
      (field) => expect.stringContaining(`the record ${at} ${field} is not authentic`) as string,
    ),
  );
  await store.forgetEvents(key, events);
  expect(await client.hkeys(at)).toEqual(expect.arrayContaining(['a', 'another', 'x']));
});

async function sentBytes(): Promise<number> {
  return Number(/total_net_output_bytes:(\d+)/.exec(await client.info('stats'))![1]);
}

test('a list of users that somebody filled takes no account its first administrator', async () => {
  const accessKeys = openStore({ client, writes: redis.writes, clock: systemClock });
  const store = new RedisIamStore({ calls: redis.calls, macs: testMacs() });
  const accessKey = { ...newAccessKey('AKIA1', scope.accountId), userId: newUser('admin').id };
  await accessKeys.insertFirstAccessKey(accessKey);
  const [, names] = iamAt(scope.accountId);
  const junk = Array.from({ length: IAM_QUOTAS.user }, (_, i) => [0, `user/${i}`]).flat();
  await client.zadd(names, ...(junk as [number, string]));
  const changes = { epoch: 1, connected: true, trusted: true, servesLastKnown: false, isLastKnown: () => false };
  const identities = new Identities({
    charged: (_, use) => use(store),
    accessKeys,
    changes: { ...changes, listen: () => {} },
    versions: new AccountVersions(),
    clock: systemClock,
  });
  const owner = await identities.ownerOf(accessKey, undefined);
  expect(owner?.record.accessKeys).toMatchObject([{ accessKeyId: 'AKIA1' }]);
});
