import { newKey } from '@keyfleet/frontend/store/key-store.contract';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { keyAt } from '@keyfleet/shared/stored/names';
import { blockOfIncident, endsOthers, inOrderOfIncident } from '@keyfleet/test-support/documented-incident';
import { writesOf } from '@keyfleet/test-support/redis-client';
import { passwordOf, RedisWithSentinels } from '@keyfleet/test-support/redis-sentinels';
import { openStore } from '@keyfleet/test-support/redis-store';
import type { TestServer } from '@keyfleet/test-support/servers';
import { execa } from 'execa';
import type { Redis } from 'ioredis';
import { readFileSync, symlinkSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

// Step 2 of docs/domain.md, "What to do after a member was compromised", on Redis with Sentinels.

/** What a person needs for a command. In two of them Sentinels see that they have lost the master. */
const PAUSE_MS = 3_000;
const USERS = ['operator', 'replica', 'sentinel', 'frontend', 'domain-manager'];
const HIS = 'of the intruder';
const HIS_USER = 'another';
const newPasswordOf = (user: string) => readFileSync(join(laptop, 'new', user), 'utf8').trim();

const key = newKey();
const name = keyAt(key.region, key.keyId);
const open = (client: RedisClient) => openStore({ client, writes: writesOf(client, 1), clock: { now: Date.now } });

const resources = new AsyncDisposableStack();
let redis: RedisWithSentinels;
/** Where an operator types the commands of the page. */
let laptop: string;
/** Of an operator, to each node. */
let operators: readonly (RedisClient & AsyncDisposable)[];
let manager: RedisClient;
let thief: RedisClient;

beforeAll(async () => {
  laptop = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-laptop-'))).path;
  symlinkSync(join(import.meta.dirname, '../../deploy'), join(laptop, 'deploy'));
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

/**
 * Connected to each node and Sentinel as an operator, and by what he has there then, an intruder gives each user a
 * password of his own, as fast as he can. Where a connection is ended, he tries again and again.
 */
async function intrude(): Promise<AsyncDisposable> {
  await using own = new AsyncDisposableStack();
  const toSentinels = redis.sentinels.map((server) => redis.connectAs('operator', { server }));
  const watching = (await Promise.all(toSentinels)).map((client) => own.use(client));
  const connected: Redis[] = [];
  for (const server of [...operators, ...watching] as Redis[]) {
    await server.call('ACL', 'SETUSER', HIS_USER, 'on', `>${HIS}`, '~*', '&*', '+@all');
    for (const login of [{}, { password: HIS }, { username: HIS_USER, password: HIS }]) {
      const client = server.duplicate(login);
      client.on('error', () => {});
      own.defer(() => client.disconnect());
      connected.push(client);
    }
  }
  const ending = new AbortController();
  const going = connected.map(async (client) => {
    while (!ending.signal.aborted) {
      if (client.status !== 'ready') await delay(10);
      else await Promise.allSettled(USERS.map((user) => client.call('ACL', 'SETUSER', user, `>${HIS}`)));
    }
  });
  own.defer(async () => {
    ending.abort();
    await Promise.all(going);
  });
  await vi.waitUntil(() => connected.every(({ status }) => status === 'ready'), 10_000);
  return own.move();
}

/** He stays connected to the master as `default`, of which `ACL LIST` shows nothing any more. */
async function lurk(): Promise<Redis> {
  const operator = operators[0] as Redis;
  await operator.call('ACL', 'SETUSER', 'default', 'on', `>${HIS}`);
  const lurker = operator.duplicate({ username: 'default', password: HIS, retryStrategy: () => null });
  lurker.on('error', () => {});
  resources.defer(() => lurker.disconnect());
  await vi.waitUntil(() => lurker.status === 'ready', 10_000);
  await operator.call('ACL', 'SETUSER', 'default', 'off', 'resetpass');
  expect(await lurker.config('GET', 'masterauth')).toEqual(['masterauth', passwordOf('replica')]);
  return lurker;
}

const type = (block: string, redisCli = '') =>
  execa('sh', ['-c', block.replaceAll('redis-cli', redisCli)], { cwd: laptop });

async function replaceUsers(): Promise<void> {
  const block = blockOfIncident('echo MULTI');
  for (const node of redis.nodes) {
    await delay(PAUSE_MS);
    const { stdout } = await type(block, redis.redisCli(node));
    expect(stdout).not.toMatch(/ERR|NOAUTH|EXECABORT/);
    expect(stdout).toMatch(new RegExp(`^${HIS_USER}$`, 'm'));
    await delay(PAUSE_MS);
    const asOperator = redis.redisCli(node, newPasswordOf('operator'));
    await type(`redis-cli ACL DELUSER ${HIS_USER}`, asOperator);
    const again = await type(block, asOperator);
    expect(again.stdout.split('\n').slice(-7)).toEqual(['default', 'probe', ...USERS].toSorted());
    expect(again.stdout).not.toMatch(new RegExp(`ERR|^${HIS_USER}$`, 'm'));
  }
  await connectOperators();
}

async function connectOperators(): Promise<void> {
  for (const operator of operators) await operator[Symbol.asyncDispose]();
  const password = newPasswordOf('operator');
  const connected = redis.nodes.map((server) => redis.connectAs('operator', { server, password }));
  operators = (await Promise.all(connected)).map((operator) => resources.use(operator));
}

async function followMaster(): Promise<void> {
  await onEach('CONFIG', 'SET', 'masterauth', newPasswordOf('replica'));
  for (const replica of operators.slice(1)) await replica.config('SET', 'replica-priority', 0);
  const links = async () => (await onEach('ROLE')).map((said) => (said as unknown[])[3]);
  await expect.poll(links, { timeout: 30_000 }).toEqual([undefined, 'connected', 'connected']);
}

async function endThief(): Promise<void> {
  const own = String(await operators[0]!.client('LIST', 'ID', Number(await manager.client('ID'))));
  const [, address = ''] = / addr=(\S+) /.exec(own)!;
  await execa('sh', ['-c', endsOthers(address, redis.redisCli(redis.nodes[0]!, newPasswordOf('operator')))]);
  await vi.waitUntil(() => thief.status !== 'ready', 10_000);
}

async function startSentinels(): Promise<void> {
  await redis.startSentinelsAnew(newPasswordOf);
  const password = newPasswordOf('operator');
  await using operator = await redis.connectAs('operator', { server: redis.sentinels[0]!, password });
  const priorities = async () =>
    JSON.stringify(await operator.call('SENTINEL', 'REPLICAS', 'keyfleet')).match(/(?<="slave-priority",")\d+/g);
  await expect.poll(priorities, { timeout: 20_000 }).toEqual(['0', '0']);
  // As where the master dies now.
  await expect(operator.call('SENTINEL', 'FAILOVER', 'keyfleet')).rejects.toThrow('NOGOODSLAVE');
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
  const [, ...replicas] = redis.nodes;
  await operators[0]!.call('BGREWRITEAOF');
  const rewritten = async () =>
    /aof_rewrite_in_progress:0\s+aof_rewrite_scheduled:0/.test(await operators[0]!.info('persistence'));
  await vi.waitUntil(rewritten, 20_000);
  for (const replica of replicas) await redis.emptyReplica(replica, newPasswordOf);
  await connectOperators();
  expect(await onEach('CONFIG', 'GET', 'replica-priority')).toEqual(Array(3).fill(['replica-priority', '100']));
}

/** Of these passwords of users, on all nodes and Sentinels, those that are accepted. */
async function accepted(passwords: (user: string) => string): Promise<string[]> {
  const found: string[] = [];
  for (const server of [...redis.nodes, ...redis.sentinels]) {
    await using operator = await redis.connectAs('operator', { server, password: newPasswordOf('operator') });
    for (const user of [...USERS, HIS_USER]) {
      const answer = await operator.call('AUTH', user, passwords(user)).catch(String);
      if (answer === 'OK') found.push(user);
      else expect(answer).toContain('WRONGPASS');
    }
  }
  return found;
}

test('an intruder has none of the passwords that are taken away from him, and no replica takes over what he left', async () => {
  const { older, newest } = await plantOlder();
  expect(await stored()).toEqual([newest, older, older]);
  const id = await manager.client('ID');
  await using intruder = await intrude();
  const lurker = await lurk();
  await operators[0]!.call('CLIENT', 'PAUSE', '3600000', 'WRITE');

  const steps = inOrderOfIncident<() => Promise<unknown>>({
    'first stop all Sentinels': () => Promise.all(redis.sentinels.map((sentinel) => sentinel.kill())),
    'mkdir new': () => type(blockOfIncident('mkdir new')),
    'echo MULTI': replaceUsers,
    '`CONFIG SET masterauth "$(cat new/replica)"`': followMaster,
    'redis-cli CLIENT LIST': endThief,
    '`sentinel monitor keyfleet NODE 6379 2`': startSentinels,
    'Start frontends and domain-managers with their new passwords': startServices,
    'give each of its replicas an empty volume': emptyReplicas,
  });
  for (const [words, step] of steps) {
    await step();
    expect(await roles(), words).toEqual(['master', 'slave', 'slave']);
    expect(await manager.client('ID'), words).toBe(id);
  }
  expect(await stored()).toEqual([newest, newest, newest]);
  await intruder[Symbol.asyncDispose]();
  expect(lurker.status).toBe('end');
  expect(await accepted(() => HIS)).toEqual([]);
  expect(await accepted(passwordOf)).toEqual([]);
}, 120_000);
