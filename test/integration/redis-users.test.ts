import { CreateAliasCommand, CreateGrantCommand, CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { startServer } from '@keyfleet/test-support/servers';
import { credentials, status } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import { unary } from '@keyfleet/proto/unary';
import { storedNameOf, storedValues } from '@keyfleet/shared/stored/names';
import { execa } from 'execa';
import { Redis } from 'ioredis';
import { globSync, readFileSync } from 'node:fs';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RedisUser } from '../../tools/servers/redis-users.ts';

let cluster: TestCluster;
const clients = new Map<RedisUser | 'default', Redis>();

beforeAll(async () => {
  cluster = await startTestCluster();
  const { home, ports } = cluster;
  const connect = (username: RedisUser) =>
    new Redis(ports.redis, { username, password: readFileSync(home.redisPasswordFile(username), 'utf8').trim() });
  clients.set('frontend', connect('frontend'));
  clients.set('domain-manager', connect('domain-manager'));
  clients.set('default', new Redis(ports.redis, { password: home.secret('redis-password') }));
});

afterAll(async () => {
  clients.forEach((client) => client.disconnect());
  await cluster?.[Symbol.asyncDispose]();
});

const call = (user: RedisUser | 'default', [name, ...args]: readonly string[]) =>
  clients.get(user)!.call(name!, ...args);

test('services never ask for what they may not', async () => {
  using kms = Object.assign(kmsClient(cluster), { [Symbol.dispose]: () => kms.destroy() });
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const KeyId = KeyMetadata!.KeyId!;
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/mine', TargetKeyId: KeyId }));
  const GranteePrincipal = `arn:aws:iam::${KeyMetadata!.AWSAccountId}:user/admin`;
  await kms.send(new CreateGrantCommand({ KeyId, GranteePrincipal, Operations: ['Encrypt'] }));
  await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.of(1) }));
  expect(await call('default', ['ACL', 'LOG'])).toEqual([]);
});

describe('a frontend may not', () => {
  test.each([
    ['store a domain token', ['RPUSH', 'kf:domain:{development}:tokens', 'forged']],
    ['sign a proposal', ['HSET', 'kf:domain:{development}:proposal:1', 'x', 'y']],
    ['plant what is named like a proposal', ['HSET', 'kf:domain:{development}:proposal:x:store', 'x', 'y']],
    ['plant one by another end', ['HSET', 'kf:domain:{development}:proposal:x:reseal:parts:1', 'x', 'y']],
    ['plant dates of signatures', ['SET', 'kf:domain:{development}:signed:x:store', 'y']],
    ['lead', ['SET', 'kf:domain:{development}:lease', 'me']],
    ['touch what is not of Keyfleet', ['GET', 'somebody-elses']],
    ['say that a restore is under way', ['HSET', 'kf:restore', 'x', 'y']],
    ['empty the store', ['FLUSHALL']],
    ['change a setting', ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru']],
    ['make a user', ['ACL', 'SETUSER', 'me', 'on']],
    ['stop Redis', ['SHUTDOWN']],
    ['make Redis a replica of another', ['REPLICAOF', '127.0.0.1', '1']],
    ['load a function', ['FUNCTION', 'LIST']],
    ['hold Redis up with a debugger', ['SCRIPT', 'DEBUG', 'SYNC']],
    ['hide something in another database', ['SELECT', '1']],
    ['publish to others', ['PUBLISH', 'other', 'x']],
    // As a replica it would read everything, and Sentinels would take it for one.
    ["read the replicas' password", ['CONFIG', 'GET', 'masterauth']],
    [
      'do in a script what it may not',
      ['EVAL', "return redis.call('DEL', KEYS[1])", '1', 'kf:domain:{development}:tokens'],
    ],
  ])('%s', async (_, command) => {
    await expect(call('frontend', command)).rejects.toThrow(/NOPERM|ACL failure/);
  });
});

test('what a frontend’s user may write beside its own names is never read, whatever a stranger names', async () => {
  // `*` in deploy/redis/users.acl matches every character.
  const ids = ['x}:store', 'x}:reseal:1'];
  const names = ids.map((id) => `kf:domain:{development}:proposal:${id}`);
  for (const name of names) await call('frontend', ['HSET', name, 'command', 'x', 'expiresAt', '9'.repeat(13)]);
  expect(names.map(storedNameOf)).toEqual([undefined, undefined]);
  // Seconds since a command read or wrote it.
  const idle = async () =>
    Math.min(...(await Promise.all(names.map((name) => call('default', ['OBJECT', 'IDLETIME', name])))).map(Number));
  await vi.waitFor(async () => expect(await idle()).toBeGreaterThan(1), { timeout: 10_000 });
  using manager = Object.assign(
    new DomainManager(`127.0.0.1:${cluster.ports.domainManager}`, credentials.createInsecure()),
    { [Symbol.dispose]: () => manager.close() },
  );
  const { ListProposals, Approve } = DomainManager.service;
  for (const id of ids) {
    const request = { proposal_id: id, operator_id: 'nobody', signature: Buffer.alloc(96) };
    await expect(unary(manager, Approve, request, 5_000)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('64 hexadecimal digits'),
    });
  }
  const unknown = { proposal_id: 'ab'.repeat(32), operator_id: 'nobody', signature: Buffer.alloc(96) };
  await expect(unary(manager, Approve, unknown, 5_000)).rejects.toMatchObject({ code: status.NOT_FOUND });
  await unary(manager, ListProposals, {}, 5_000);
  expect(await idle()).toBeGreaterThan(1);
  await call('frontend', ['HGET', names[0]!, 'command']);
  expect(await idle()).toBeLessThan(2);
  await call('default', ['DEL', ...names]);
});

test('with the domain’s name in the place of its pattern, a frontend writes nothing beside its own names', async () => {
  const text = await readFile(join(import.meta.dirname, '../../deploy/redis/users.acl'), 'utf8');
  const [, rules] = /^user frontend (.+)$/m.exec(text.replaceAll('{[a-z0-9]*}', '{development}'))!;
  await call('default', ['ACL', 'SETUSER', 'named', ...rules!.match(/\([^)]+\)|\S+/g)!]);
  const write = (name: string) => call('default', ['ACL', 'DRYRUN', 'named', 'HSET', name, 'x', 'y']);
  for (const end of ['store', 'reseal:parts:1']) {
    expect(await write(`kf:domain:{development}:${end}`)).toBe('OK');
    expect(await write(`kf:domain:{development}:proposal:x}:${end}`)).toContain('has no permissions');
  }
  await call('default', ['ACL', 'DELUSER', 'named']);
});

describe('a domain-manager may not', () => {
  const others = Object.values(storedValues)
    .map(({ name }) => name.replaceAll(/<[^>]+>/g, 'x'))
    .filter((name) => !name.startsWith('kf:domain:'));
  test.each(others.map((name) => [name]))('write at %s', async (name) => {
    await expect(call('domain-manager', ['DEL', name])).rejects.toThrow('NOPERM');
  });
  test.each([
    ['read a key', ['HGETALL', 'kf:key:{us-east-1/x}']],
    ['empty the store', ['FLUSHALL']],
    ['announce a change', ['PUBLISH', 'kf:changes', 'x']],
    ['hold Redis up with a debugger', ['SCRIPT', 'DEBUG', 'SYNC']],
    ['hide something in another database', ['SELECT', '1']],
    // As a replica it would read everything.
    ["read the replicas' password", ['CONFIG', 'GET', 'masterauth']],
  ])('%s', async (_, command) => {
    await expect(call('domain-manager', command)).rejects.toThrow('NOPERM');
  });
});

/** Each way to set one, of those that Redis 7.0 has. */
const datings = (name: string) => [
  ...['EXPIRE', 'PEXPIRE', 'EXPIREAT', 'PEXPIREAT'].map((command) => [command, name, '9']),
  ...['SETEX', 'PSETEX'].map((command) => [command, name, '9', 'x']),
  ['GETEX', name, 'PX', '9'],
  ['RENAME', 'kf:rates:{x}', name],
  ['COPY', 'kf:rates:{x}', name],
  ['RESTORE', name, '9', 'x'],
];
const datedOf: Readonly<Record<RedisUser, RegExp>> = {
  frontend: /^kf:rates:/,
  'domain-manager': /^kf:domain:\{x\}:(?:proposal|reseal):/,
};

test.each(Object.entries(datedOf))(
  'a %s may set a date on which a name vanishes only where it does',
  async (user, own) => {
    const names = Object.values(storedValues).map(({ name }) => name.replaceAll(/<[^>]+>/g, 'x'));
    const all = names.flatMap((name) => datings(name).map((command) => [name, command] as const));
    for (const [name, command] of all) {
      const answer = await call('default', ['ACL', 'DRYRUN', user, ...command]);
      const may =
        own.test(name) && /^P?EXPIRE(?:AT)?$/.test(command[0]!) && (user !== 'frontend' || command[0] === 'PEXPIRE');
      if (!may) expect(answer, command.join(' ')).toContain('has no permissions');
    }
    const ending = names.filter((name) => own.test(name));
    for (const name of ending) expect(await call('default', ['ACL', 'DRYRUN', user, 'PEXPIRE', name, '9'])).toBe('OK');
  },
);

test('each may run every command of its scripts', async () => {
  const folders: Readonly<Record<RedisUser, readonly string[]>> = {
    frontend: ['services/frontend/src', 'packages/shared/src/redis'],
    'domain-manager': ['services/domain-manager/src', 'packages/shared/src/redis'],
  };
  const names = { frontend: 'kf:rates:{x}', 'domain-manager': 'kf:domain:{x}:proposal:x' };
  for (const [user, roots] of Object.entries(folders) as [RedisUser, readonly string[]][]) {
    const files = roots.flatMap((root) => globSync(join(import.meta.dirname, '../..', root, '**/*.ts')));
    const text = files.map((file) => readFileSync(file, 'utf8')).join('\n');
    const commands = new Set([...text.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, command]) => command!));
    expect(commands.size).toBeGreaterThan(15);
    for (const command of commands) {
      const arity = Math.abs(
        Number(((await call('default', ['COMMAND', 'INFO', command])) as [[string, number]])[0][1]),
      );
      const args = command === 'PUBLISH' ? ['kf:changes', 'x'] : [names[user], ...Array.from({ length: 9 }, () => '1')];
      const subcommand = command === 'MEMORY' ? ['USAGE'] : [];
      const dryRun = [user, command, ...subcommand, ...args.slice(0, arity - 1)];
      const answer = await call('default', ['ACL', 'DRYRUN', ...dryRun]);
      expect(answer, `${user} ${command}`).toBe('OK');
    }
  }
});

test('each may do what is its own', async () => {
  await expect(call('frontend', ['EXISTS', 'kf:key:{us-east-1/x}'])).resolves.toBe(0);
  await expect(call('domain-manager', ['LLEN', 'kf:domain:{development}:tokens'])).resolves.toBeGreaterThan(0);
});

test("an account is made with a frontend's user", async () => {
  await call('default', ['ACL', 'LOG', 'RESET']);
  const { domain, host } = cliOptionsOf(cluster);
  const { home, ports } = cluster;
  const as = ['--redis-user', 'frontend', '--redis-password-file', home.redisPasswordFile('frontend')];
  const to = ['--account', '444455556666', '--out', home.in('credentials-of-444455556666')];
  const made = await runKeyfleet(
    'account',
    'create',
    ...to,
    ...domain,
    ...host,
    '--redis',
    `redis://127.0.0.1:${ports.redis}`,
    ...as,
  );
  expect(made).toMatchObject({ exitCode: 0 });
  expect(await call('default', ['ACL', 'LOG'])).toEqual([]);
});

test('a user of deploy/redis has its password, and beside it the one that takes its place', async () => {
  const deploy = join(import.meta.dirname, '../../deploy/redis');
  await using secrets = await mkdtempDisposable(join(tmpdir(), 'keyfleet-secrets-'));
  await writeFile(join(secrets.path, 'operator'), 'before\n');
  await writeFile(join(secrets.path, 'operator.also'), 'after\n');
  const { stdout: users } = await execa('sh', [join(deploy, 'users.sh'), join(deploy, 'users.acl')], {
    env: { secrets: secrets.path },
  });
  await using server = await startServer(async (port, dir) => {
    const file = join(dir, 'redis.conf');
    await writeFile(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, 'save ""', users, ''].join('\n'));
    return { command: 'redis-server', args: [file] };
  });
  const answerTo = async (username: string, password: string) => {
    const client = new Redis(server.port, { username, password, lazyConnect: true, retryStrategy: () => null });
    client.on('error', () => {});
    return client.ping().then(
      () => client.quit(),
      (error: Error) => error.message,
    );
  };
  expect(await answerTo('operator', 'before')).toBe('OK');
  expect(await answerTo('operator', 'after')).toBe('OK');
  expect(await answerTo('operator', 'another')).toContain('WRONGPASS');
  expect(await answerTo('frontend', 'after')).toContain('WRONGPASS');
});

test('a Redis with the users of deploy/redis has after a restart what was written together, and nobody comes in without a name', async () => {
  const deploy = join(import.meta.dirname, '../../deploy/redis');
  const { stdout: users } = await execa('sh', [join(deploy, 'users.sh'), join(deploy, 'users.acl')]);
  await using server = await startServer(async (port, dir) => {
    const file = join(dir, 'redis.conf');
    const durable = ['appendonly yes', 'appendfsync always', 'save ""'];
    const open = users.replace('user operator on ', 'user operator on nopass ');
    await writeFile(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, ...durable, open, ''].join('\n'));
    return { command: 'redis-server', args: [file] };
  });
  const own = (client: Redis) => {
    client.on('error', () => {});
    return Object.assign(client, { [Symbol.dispose]: () => client.disconnect() });
  };
  const once = { lazyConnect: true, retryStrategy: () => null };
  const connect = (username: string) => own(new Redis(server.port, { ...once, username, password: 'any' }));
  {
    using client = connect('operator');
    await client.eval("redis.call('SET', KEYS[1], 1); redis.call('SET', KEYS[2], 2)", 2, 'one', 'other');
  }
  await server.kill();
  await server.restart();
  using client = connect('operator');
  expect(await client.mget('one', 'other')).toEqual(['1', '2']);
  using asDefault = connect('default');
  await expect(asDefault.get('one')).rejects.toThrow(/WRONGPASS|NOAUTH/);
  using nameless = own(new Redis(server.port, { ...once, enableReadyCheck: false }));
  await expect(nameless.get('one')).rejects.toThrow('NOAUTH');
});
