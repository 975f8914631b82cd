import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { keyAt } from '@keyfleet/shared/stored/names';
import { endsOthers, inOrderOfThePage } from '@keyfleet/test-support/documented-incident';
import { writesOf } from '@keyfleet/test-support/redis-client';
import { passwordOf, RedisWithSentinels } from '@keyfleet/test-support/redis-sentinels';
import { openStore } from '@keyfleet/test-support/redis-store';
import type { TestServer } from '@keyfleet/test-support/servers';
import { execa } from 'execa';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

// Step 2 of docs/domain.md, "What to do after a member was compromised", on Redis with Sentinels.

/** What a person needs for a command. In two of them Sentinels see that they have lost the master. */
const PAUSE_MS = 3_000;
const newPasswordOf = (user: string) => `new ${passwordOf(user)}`;
/** That of operators is replaced later. */
const passwordsOfSentinels = (user: string) => (user === 'operator' ? passwordOf : newPasswordOf)(user);

const key = newKey();
const name = keyAt(key.region, key.keyId);
const open = (client: RedisClient) => openStore({ client, writes: writesOf(client, 1), clock: { now: Date.now } });

const resources = new AsyncDisposableStack();
let redis: RedisWithSentinels;
/** Of an operator, to each node. */
let operators: readonly RedisClient[];
let manager: RedisClient;
let thief: RedisClient;

beforeAll(async () => {
  redis = resources.use(await RedisWithSentinels.start());
  const connect = async (user: string, server?: TestServer) =>
    resources.use(await redis.connectAs(user, server && { server }));
  operators = await Promise.all(redis.nodes.map((node) => connect('operator', node)));
  manager = await connect('domain-manager');
  thief = await connect('domain-manager');
}, 180_000);
afterAll(() => resources.disposeAsync());

const onEach = (...command: [string, ...string[]]) =>
  Promise.all(operators.map((operator) => operator.call(...command)));
const stored = () => Promise.all(operators.map((operator) => operator.hgetallBuffer(name)));
const roles = async () => (await onEach('ROLE')).map((said) => (said as unknown[])[0]);

/** What frontends changed; the replicas have it as it was before, by a script of whoever had their password. */
async function plantOlder() {
  await using client = await redis.connectAs('frontend');
  const store = open(client);
  await store.insertKey(key);
  const older = await client.hgetallBuffer(name);
  await store.updateKey({ ...key, state: 'Disabled' });
  const newest = await client.hgetallBuffer(name);
  const planting = `
redis.set_repl(redis.REPL_REPLICA)
redis.call('HSET', KEYS[1], unpack(ARGV, 1, #ARGV / 2))
redis.set_repl(redis.REPL_NONE)
redis.call('HSET', KEYS[1], unpack(ARGV, #ARGV / 2 + 1))`;
  await client.eval(planting, 1, name, ...Object.entries(older).flat(), ...Object.entries(newest).flat());
  return { older, newest };
}

async function endConnections(): Promise<void> {
  for (const operator of operators) {
    for (const user of ['replica', 'sentinel', 'frontend']) {
      await delay(PAUSE_MS);
      await operator.client('KILL', 'USER', user);
    }
  }
}

async function endThief(): Promise<void> {
  const own = String(await operators[0]!.client('LIST', 'ID', Number(await manager.client('ID'))));
  const [, address = ''] = / addr=(\S+) /.exec(own)!;
  await execa('sh', ['-c', endsOthers(address, redis.redisCli(redis.nodes[0]!))]);
  await vi.waitUntil(() => thief.status !== 'ready', 10_000);
}

async function startSentinels(): Promise<void> {
  await redis.startSentinelsAnew(passwordsOfSentinels);
  await using operator = await redis.connectAs('operator', { server: redis.sentinels[0]! });
  const priorities = async () =>
    JSON.stringify(await operator.call('SENTINEL', 'REPLICAS', 'keyfleet')).match(/(?<="slave-priority",")\d+/g);
  await expect.poll(priorities, { timeout: 20_000 }).toEqual(['0', '0']);
  // As where the master dies now.
  await expect(operator.call('SENTINEL', 'FAILOVER', 'keyfleet')).rejects.toThrow('NOGOODSLAVE');
}

async function replaceOperators(): Promise<void> {
  const rule = ['resetpass', `>${newPasswordOf('operator')}`];
  await onEach('ACL', 'SETUSER', 'operator', ...rule);
  for (const server of redis.sentinels) {
    await using operator = await redis.connectAs('operator', { server });
    await operator.call('ACL', 'SETUSER', 'operator', ...rule);
  }
  await onEach('CLIENT', 'KILL', 'USER', 'operator');
}

async function startServices(): Promise<void> {
  await using frontend = await redis.connectAs('frontend', { password: newPasswordOf('frontend') });
  const store = open(frontend);
  expect(await store.findKey(key.region, key.keyId)).toMatchObject({ revision: 2, state: 'Disabled' });
  await store.insertKey(newKey());
  await using started = await redis.connectAs('domain-manager', { password: newPasswordOf('domain-manager') });
  expect(await started.ping()).toBe('PONG');
}

async function emptyReplicas(): Promise<void> {
  const [master, ...replicas] = redis.nodes;
  await operators[0]!.call('BGREWRITEAOF');
  const rewritten = async () => (await operators[0]!.info('persistence')).includes('aof_rewrite_in_progress:0');
  await vi.waitUntil(rewritten, 20_000);
  for (const replica of replicas) await redis.emptyReplica(replica, newPasswordOf);
  const connected = [master!, ...replicas].map((server) =>
    redis.connectAs('operator', { server, password: newPasswordOf('operator') }),
  );
  operators = (await Promise.all(connected)).map((operator) => resources.use(operator));
  expect(await onEach('CONFIG', 'GET', 'replica-priority')).toEqual(Array(3).fill(['replica-priority', '100']));
}

test('no replica takes over what it was left by a former member, while its passwords are taken away', async () => {
  const { older, newest } = await plantOlder();
  expect(await stored()).toEqual([newest, older, older]);
  const id = await manager.client('ID');

  const steps = inOrderOfThePage<() => Promise<unknown>>({
    'first stop all Sentinels': () => Promise.all(redis.sentinels.map((sentinel) => sentinel.kill())),
    '`CONFIG SET replica-priority 0`': () =>
      Promise.all(operators.slice(1).map((replica) => replica.config('SET', 'replica-priority', 0))),
    '`ACL SETUSER ... resetpass >...`': async () => {
      for (const user of ['replica', 'sentinel', 'frontend', 'domain-manager'])
        await onEach('ACL', 'SETUSER', user, 'resetpass', `>${newPasswordOf(user)}`);
    },
    '`CONFIG SET masterauth ...`': () => onEach('CONFIG', 'SET', 'masterauth', newPasswordOf('replica')),
    '`CLIENT KILL USER ...`': endConnections,
    'redis-cli CLIENT LIST': endThief,
    '`sentinel monitor keyfleet NODE 6379 2`': startSentinels,
    '`ACL SETUSER operator resetpass >...`': replaceOperators,
    'Start frontends and domain-managers with their new passwords': startServices,
    'give each of its replicas an empty volume': emptyReplicas,
  });
  for (const [words, step] of steps) {
    await step();
    expect(await roles(), words).toEqual(['master', 'slave', 'slave']);
    expect(await manager.client('ID'), words).toBe(id);
  }
  expect(await stored()).toEqual([newest, newest, newest]);
}, 120_000);
