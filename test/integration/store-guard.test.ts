import { Acknowledged } from '@keyfleet/frontend/store/acknowledged';
import { openStore } from '@keyfleet/test-support/redis-store';
import { CreateKeyCommand, DecryptCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { StoreGuard, StoreRefusedError } from '@keyfleet/shared/redis/store-guard';
import { acceptStore, giveIdentity, raiseMark, readStoreIdentity } from '@keyfleet/shared/redis/store-identity';
import { storeAt, tokensAt } from '@keyfleet/shared/stored/names';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { connectTestRedis, writesOf } from '@keyfleet/test-support/redis-client';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

const clock = { now: Date.now };
const domain = 'test';
const anna = { operatorId: 'anna', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey };

async function accept(client: RedisClient, inPlaceOf?: string, acceptedAt = Date.now()): Promise<void> {
  const present = await readStoreIdentity(client, domain);
  await acceptStore(client, domain, { present, inPlaceOf, acceptedAt, signer: anna });
}

describe('a store', () => {
  const redis = useRedis();
  beforeEach(async () => {
    await redis.client.rpush(`kf:domain:{${domain}}:tokens`, 'one');
    await giveIdentity(redis.client, domain);
  });

  async function open(generation = 1, givesIdentity = false) {
    const [client, writer] = [await connectTestRedis(redis.port), await connectTestRedis(redis.port)];
    const said: string[] = [];
    const writes = writesOf(writer);
    const guard = new StoreGuard({
      domain,
      clients: [client, writer],
      writes,
      clock,
      generation: () => generation,
      operators: () => [{ operatorId: 'anna', role: 'operator', signingKey: encodedPublicKey(anna.privateKey) }],
      keepsWrites: true,
      givesIdentity,
      onRefused: ({ message }) => said.push(message),
      onAccepted: () => {
        said.push('accepted');
        acknowledged.forget();
      },
    });
    const acknowledged = new Acknowledged();
    const store = openStore({ client, writes, guard, clock, acknowledged });
    const refused = () => vi.waitFor(() => expect(() => guard.assertFit()).toThrow(StoreRefusedError), 20_000);
    return {
      client,
      guard,
      store,
      said,
      refused,
      async [Symbol.asyncDispose]() {
        guard[Symbol.dispose]();
        await client[Symbol.asyncDispose]();
        await writer[Symbol.asyncDispose]();
      },
    };
  }

  test('that is emptied under a running service takes nothing more, and says so once', async () => {
    await using service = await open();
    await service.store.insertKey(newKey());
    await service.client.flushall();
    await service.refused();
    await expect(service.store.insertKey(newKey())).rejects.toThrow(StoreRefusedError);
    await expect(service.store.findKey('us-east-1', 'x')).rejects.toThrow(StoreRefusedError);
    await expect(service.store.insertKey(newKey())).rejects.toThrow(StoreRefusedError);
    expect(service.said).toEqual([expect.stringMatching(/it was emptied.*docs\/recovery\.md/)]);
    expect(await service.client.dbsize()).toBe(0);
  });

  test('that is another one takes nothing, from the first command after the connection is made anew', async () => {
    await using service = await open();
    await service.store.insertKey(newKey());
    await service.client.del(storeAt(domain));
    await giveIdentity(service.client, domain);
    await service.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => {});
    const writing = vi.waitFor(
      () =>
        service.store.insertKey(newKey()).catch((error: unknown) => {
          if (!(error instanceof StoreRefusedError)) throw error;
          return 'refused';
        }),
      { timeout: 10_000 },
    );
    expect(await writing).toBe('refused');
    expect(service.said).toEqual([expect.stringContaining('it is another store')]);
  });

  test('is asked over no connection that the guard does not watch', async () => {
    await using service = await open();
    await using other = await connectTestRedis(redis.port);
    await service.guard.assertOurs(service.client);
    expect(() => service.guard.assertOurs(other)).toThrow();
  });

  test('that went back to an older state is noticed, and goes on when operators accept it', async () => {
    await using service = await open();
    const key = newKey();
    await service.store.insertKey(key);
    await service.store.updateKey(key);
    await vi.waitUntil(async () => (await readStoreIdentity(service.client, domain)).mark > 0, 20_000);
    await service.client.hset(storeAt(domain), 'mark', 0);
    await service.refused();
    expect(service.said).toEqual([expect.stringContaining('it went back to an older state')]);
    await accept(service.client);
    await vi.waitFor(() => service.store.insertKey(newKey()), { timeout: 20_000 });
    expect(service.said.at(-1)).toBe('accepted');
    expect(service.guard.problem).toBeUndefined();
  });

  test('whose mark somebody set to just below the greatest one goes on for good', async () => {
    await using service = await open();
    await service.client.hset(storeAt(domain), 'mark', '999999999999998');
    const identity = await readStoreIdentity(service.client, domain);
    for (let raised = 0; raised < 3; raised++) {
      expect(await raiseMark(service.client, domain, identity.id)).toBe(999_999_999_999_999);
    }
    await service.store.insertKey(newKey());
    await setTimeout(2_500);
    await service.store.insertKey(newKey());
    expect(service.said).toEqual([]);
    expect((await readStoreIdentity(service.client, domain)).mark).toBe(999_999_999_999_999);
  });

  test.each(['x', '01', '1000000000000000', '-1', '9'.repeat(100)])('with the mark %s counts anew', async (mark) => {
    await redis.client.hset(storeAt(domain), 'mark', mark);
    const { id } = await readStoreIdentity(redis.client, domain);
    expect(await raiseMark(redis.client, domain, id)).toBe(1);
    expect(await raiseMark(redis.client, domain, id)).toBe(2);
    expect((await readStoreIdentity(redis.client, domain)).mark).toBe(2);
  });

  test('whose identity was made too long to read is refused, and goes on once operators name the one before', async () => {
    await using service = await open();
    await service.store.insertKey(newKey());
    const { id: before } = await readStoreIdentity(service.client, domain);
    const long = ','.repeat(1_000_000);
    await service.client.hset(storeAt(domain), { id: long, mark: long, follows: long, acceptedAt: long });
    const unread = { id: '', mark: 0, follows: [], acceptedAt: 0 };
    expect(await readStoreIdentity(service.client, domain)).toMatchObject(unread);
    await service.refused();
    await accept(service.client, before);
    await vi.waitFor(() => service.store.insertKey(newKey()), { timeout: 20_000 });
    await vi.waitUntil(async () => (await readStoreIdentity(service.client, domain)).mark > 0, 20_000);
  });

  describe.each([
    ['no UTF-8', Buffer.from([0xff, 0xfe])],
    ['no id', 'x'.repeat(36)],
  ])('that has something else in the place of its identity: %s', (_, other) => {
    test('is refused, and goes on once operators name the one before', async () => {
      await using service = await open();
      await service.store.insertKey(newKey());
      const { id: before } = await readStoreIdentity(service.client, domain);
      await service.client.hset(storeAt(domain), 'id', other);
      await service.refused();
      const problem = `Redis: something else stands in the place of the identity that it had before (${before}).`;
      expect(service.said).toEqual([expect.stringContaining(problem)]);
      expect(await readStoreIdentity(service.client, domain)).toMatchObject({ id: '', hasOtherId: true });
      await accept(service.client, before);
      await vi.waitFor(() => service.store.insertKey(newKey()), { timeout: 20_000 });
      expect(service.said.at(-1)).toBe('accepted');
    });

    test('has one again from a service that begins and gives it, and others that begin are refused until then', async () => {
      await redis.client.hset(storeAt(domain), 'id', other);
      await using started = await open();
      await started.refused();
      await using giving = await open(1, true);
      await giving.store.insertKey(newKey());
      const { id, hasOtherId } = await readStoreIdentity(redis.client, domain);
      expect({ known: giving.guard.id, hasOtherId }).toEqual({ known: id, hasOtherId: false });
      await expect.poll(() => started.guard.problem, { timeout: 20_000 }).toBeUndefined();
      await vi.waitUntil(async () => (await readStoreIdentity(redis.client, domain)).mark > 0, 20_000);
      await redis.client.hset(storeAt(domain), 'mark', 0);
      await giving.refused();
      expect(giving.said).toEqual([expect.stringContaining('it went back to an older state')]);
    });
  });

  test('goes on once it is accepted, although somebody left no stores in the place of those that it follows', async () => {
    await using service = await open();
    await service.store.insertKey(newKey());
    await service.client.hset(storeAt(domain), { follows: 'x'.repeat(1000) });
    await accept(service.client);
    await expect.poll(() => service.said, { timeout: 20_000 }).toContain('accepted');
    await service.store.insertKey(newKey());
  });

  test('whose identity is of another type is refused, and goes on once operators name the one before', async () => {
    await using service = await open();
    await service.store.insertKey(newKey());
    const { id: before } = await readStoreIdentity(service.client, domain);
    await service.client.set(storeAt(domain), 'x');
    await service.refused();
    await accept(service.client, before);
    await vi.waitFor(() => service.store.insertKey(newKey()), { timeout: 20_000 });
  });

  test.each<[string, (redis: RedisClient) => Promise<unknown>]>([
    ['another', (redis) => redis.hset(storeAt(domain), 'id', '00000000-0000-4000-8000-000000000000')],
    ['none', (redis) => redis.del(storeAt(domain))],
    ['a string', (redis) => redis.set(storeAt(domain), 'x')],
  ])('whose identity became %s goes on when it is put back, and still refuses what is older', async (_, takeAway) => {
    await using service = await open();
    const key = newKey();
    await service.store.insertKey(key);
    const at = `kf:key:{us-east-1/${key.keyId}}`;
    const old = await service.client.hgetall(at);
    await service.store.updateKey({ ...key, state: 'Disabled' });
    await vi.waitUntil(async () => (await readStoreIdentity(service.client, domain)).mark > 0, 20_000);
    await service.client.hset(at, old);
    await takeAway(service.client);
    await service.refused();
    const id = /\(([^()]*)\)\. Nothing is answered/.exec(service.said.at(-1)!)![1]!;
    if ((await service.client.type(storeAt(domain))) === 'string') await service.client.del(storeAt(domain));
    await service.client.hset(storeAt(domain), 'id', id);
    await vi.waitUntil(
      () => service.guard.problem === undefined || service.guard.problem.includes('mark 0, was'),
      20_000,
    );
    const mark = /mark 0, was (\d+)/.exec(service.guard.problem ?? '')?.[1];
    if (mark !== undefined) await service.client.hset(storeAt(domain), 'mark', mark);
    await vi.waitFor(() => service.store.insertKey(newKey()), { timeout: 20_000 });
    await expect(service.store.findKey(key.region, key.keyId)).rejects.toThrow('and revision 2 was acknowledged');
    expect(service.said).not.toContain('accepted');
  });

  test('that is restored from a backup of before its last acceptance goes on once operators name the one before', async () => {
    const backup = await redis.client.hgetall(storeAt(domain));
    const restore = () => redis.client.multi().del(storeAt(domain)).hset(storeAt(domain), backup).exec();
    await using service = await open();
    await service.store.insertKey(newKey());
    await restore();
    await accept(redis.client);
    const { id: before } = await readStoreIdentity(redis.client, domain);
    await expect.poll(() => service.guard.id).toBe(before);

    await restore();
    await using started = await open();
    await expect.poll(() => started.guard.id).toBe(backup['id']);
    await accept(redis.client);
    const { id: stranger } = await readStoreIdentity(redis.client, domain);
    const problem = `it is another store (${stranger}) than before (${before})`;
    await expect.poll(() => service.guard.problem).toContain(problem);
    await accept(redis.client, before);
    const { id } = await readStoreIdentity(redis.client, domain);
    for (const { guard } of [service, started]) {
      await expect.poll(() => [guard.id, guard.problem]).toEqual([id, undefined]);
    }
    await service.store.insertKey(newKey());
  });

  test('that says of itself that it follows the one before is another store, unless an operator signed it', async () => {
    await using service = await open();
    await service.store.insertKey(newKey());
    const { id } = await readStoreIdentity(service.client, domain);
    const other = randomUUID();
    await service.client.hset(storeAt(domain), { id: other, follows: id });
    await service.refused();
    expect(service.said).toEqual([expect.stringContaining(`it is another store (${other}) than before`)]);
  });

  test('that was accepted before the service began with the one before is another store: the acceptance is an old one', async () => {
    const before = await redis.client.hgetall(storeAt(domain));
    await accept(redis.client, undefined, Date.now() - 3_600_000);
    const accepted = await redis.client.hgetall(storeAt(domain));
    const show = (store: Record<string, string>) =>
      redis.client.multi().del(storeAt(domain)).hset(storeAt(domain), store).exec();
    await show(before);
    await using service = await open();
    await service.store.insertKey(newKey());
    await show(accepted);
    await service.refused();
    const dated = new Date(Number(accepted['acceptedAt'])).toISOString();
    expect(service.said).toEqual([
      expect.stringContaining(`than before (${before['id']}), and its acceptance is dated ${dated}.`),
    ]);
    await accept(redis.client, before['id']);
    await expect.poll(() => service.guard.problem).toBeUndefined();
    expect(service.said.at(-1)).toBe('accepted');
  });

  test('with a date that nobody signed is another store', async () => {
    await using service = await open();
    await service.store.insertKey(newKey());
    await accept(service.client, undefined, Date.now() - 3_600_000);
    await service.refused();
    for (const acceptedAt of [String(Date.now()), 'never', '9'.repeat(40)]) {
      await service.client.hset(storeAt(domain), { acceptedAt });
      await setTimeout(1_200);
      expect(() => service.guard.assertFit()).toThrow(StoreRefusedError);
    }
    expect(service.said).not.toContain('accepted');
  });

  test('that lacks domain tokens which were verified is refused by who starts now, too', async () => {
    await using service = await open(2);
    await service.refused();
    expect(service.said).toEqual([expect.stringMatching(/up to generation 1, and generation 2 was verified/)]);
  });

  test('that has something else in the place of the domain tokens is refused, and nobody speaks of an older state', async () => {
    await using service = await open();
    await service.guard.assertOurs(service.client);
    await service.client.del(tokensAt(domain));
    await service.client.set(tokensAt(domain), 'x');
    await service.refused();
    expect(service.said).toEqual([expect.stringContaining('Redis: something else stands in the place of the domain')]);
    await service.client.del(storeAt(domain));
    await vi.waitFor(() => expect(service.guard.problem).toContain('it carries no identity, and did before ('), 20_000);
  });

  test('with a record that is older than what was acknowledged is at fault for that key alone', async () => {
    await using service = await open();
    const [key, other] = [newKey(), newKey()];
    for (const one of [key, other]) await service.store.insertKey(one);
    const at = `kf:key:{us-east-1/${key.keyId}}`;
    const old = await service.client.hgetall(at);
    await service.store.updateKey({ ...key, state: 'Disabled' });
    await service.client.hset(at, old);
    const reading = service.store.findKey(key.region, key.keyId);
    await expect(reading).rejects.toThrow(DamagedRecordError);
    await expect(reading).rejects.toThrow(`${key.keyId} is at revision 1, and revision 2 was acknowledged`);
    expect(await service.store.findKey(other.region, other.keyId)).toBeDefined();
  });
});

describe('a cluster whose Redis is emptied while it runs', () => {
  let cluster: TestCluster;
  let kms: KMSClient;
  beforeAll(async () => {
    cluster = await startTestCluster({ workers: 1 });
    kms = kmsClient(cluster, { maxAttempts: 1 });
  });
  afterAll(async () => {
    kms?.destroy();
    await cluster?.[Symbol.asyncDispose]();
  });

  const readyz = async () => {
    const response = await fetch(`${cluster.endpoint}/readyz`);
    return { status: response.status, body: await response.text() };
  };
  const doctor = () => {
    const { domain, redis } = cliOptionsOf(cluster);
    return runKeyfleet('doctor', ...domain, ...redis);
  };

  test('creates nothing and is not ready until a backup is restored and accepted', async () => {
    const { redis: redisOptions, signer } = cliOptionsOf(cluster);
    const anchor = ['--trust-anchor', cluster.home.trustAnchorFile];
    const Plaintext = Buffer.of(1);
    const KeyId = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext }));
    const file = cluster.home.in('backup');
    expect(await runKeyfleet('backup', ...redisOptions, '--out', file)).toMatchObject({ exitCode: 0 });
    await kms.send(new CreateKeyCommand({}));
    using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
    expect((await doctor()).out).toMatch(/well +store: .*which has lost nothing/);

    await redis.flushall();
    await eventually('the frontend is not ready', async () => (await readyz()).status === 503);
    expect((await readyz()).body).toContain('it was emptied');
    const internal = { name: 'KMSInternalException', $fault: 'server' };
    await expect(kms.send(new CreateKeyCommand({}))).rejects.toMatchObject(internal);
    await expect(kms.send(new EncryptCommand({ KeyId, Plaintext }))).rejects.toMatchObject(internal);
    expect(await redis.keys('kf:key*')).toEqual([]);
    await eventually('the doctor says so', async () => /NOT WELL +store: .*it was emptied/.test((await doctor()).out));
    expect((await doctor()).exitCode).toBe(1);
    const said = readFileSync(cluster.home.in('log', 'frontend.log'), 'utf8').match(/"msg":"Redis refused"/g);
    expect(said).toHaveLength(1);

    expect(await runKeyfleet('restore', file, ...redisOptions)).toMatchObject({ exitCode: 0, notes: '' });
    expect(await runKeyfleet('store', 'accept', ...signer, ...anchor, ...redisOptions)).toMatchObject({ exitCode: 0 });
    await eventually('the frontend is ready', async () => (await readyz()).status === 200);
    const decrypted = await kms.send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(decrypted.Plaintext!)).toEqual(Plaintext);
    await kms.send(new CreateKeyCommand({}));
    await eventually('all is well', async () => /well +store: .*which has lost nothing/.test((await doctor()).out));
  });

  test('is not ready while the store has something else in the place of its newest domain token', async () => {
    using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
    const tokens = tokensAt(cluster.home.facts.domain);
    const [newest] = await redis.lrangeBuffer(tokens, -1, -1);
    // It would put the token back.
    await cluster.kill('domain-manager');
    await redis.lset(tokens, -1, Buffer.alloc(newest!.length));
    await eventually('the frontend says so', async () => (await readyz()).body.includes('it lacks domain token 1'));
    await expect(kms.send(new CreateKeyCommand({}))).rejects.toMatchObject({ name: 'KMSInternalException' });
    await redis.lset(tokens, -1, newest!);
    await cluster.restart('domain-manager');
    await eventually('the frontend is ready', async () => (await readyz()).status === 200);
    await kms.send(new CreateKeyCommand({}));
  });

  test('says that no list of domain tokens is there, and a domain-manager that runs has it there again', async () => {
    using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
    const { redis: redisOptions, signer } = cliOptionsOf(cluster);
    const tokens = tokensAt(cluster.home.facts.domain);
    const all = await redis.lrangeBuffer(tokens, 0, -1);
    const replace = async () => redis.multi().del(tokens).set(tokens, 'x').exec();
    await replace();
    await eventually('it is there again', async () => (await redis.type(tokens)) === 'list');
    expect(await redis.lrangeBuffer(tokens, 0, -1)).toEqual(all);
    await eventually('the frontend is ready', async () => (await readyz()).status === 200);
    await kms.send(new CreateKeyCommand({}));

    await cluster.kill('domain-manager');
    await replace();
    const said = 'something else stands in the place of the domain tokens';
    await eventually('the frontend says so', async () => (await readyz()).body.includes(said));
    await expect(kms.send(new CreateKeyCommand({}))).rejects.toMatchObject({ name: 'KMSInternalException' });
    const anchor = ['--trust-anchor', cluster.home.trustAnchorFile];
    const accepted = await runKeyfleet('store', 'accept', ...signer, ...anchor, ...redisOptions);
    expect(accepted).toMatchObject({ exitCode: 1, notes: expect.stringContaining(`${said} (${tokens})`) });
    await cluster.restart('domain-manager').catch(() => {});
    await eventually('the doctor says so', async () => (await doctor()).out.includes(`${said} (${tokens})`));
    await redis.del(tokens);
    await redis.rpush(tokens, ...all);
    await eventually('the frontend is ready', async () => (await readyz()).status === 200);
    await kms.send(new CreateKeyCommand({}));
  });
});
