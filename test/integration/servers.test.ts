import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { connect } from 'nats';
import { expect, test } from 'vitest';
import { ManagedProcess } from '../../tools/managed-process.ts';
import { until } from '../../tools/readiness.ts';
import { findServers } from '../../tools/servers/find-server.ts';
import { natsConfig, natsReady } from '../../tools/servers/nats.ts';
import { redisConfig, redisReady } from '../../tools/servers/redis.ts';
import { newPort } from '../../tools/ports.ts';

async function launch(directory: string, name: 'redis' | 'nats', config: string) {
  const configFile = join(directory, `${name}.conf`);
  writeFileSync(configFile, config, { mode: 0o600 });
  const { command, args } = (await findServers(directory, () => undefined))[name];
  const serverArgs = name === 'redis' ? [configFile] : ['-c', configFile];
  const server = new ManagedProcess(
    {
      name,
      command,
      args: [...args, ...serverArgs],
      env: {},
      logFile: join(directory, `${name}.log`),
      pidFile: join(directory, `${name}.pid`),
    },
    () => undefined,
  );
  server.start();
  return server;
}

function temporaryHome(name: 'redis' | 'nats') {
  const home = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-servers-'));
  mkdirSync(join(home.path, name));
  return home;
}

async function launchRedis(home: string) {
  const settings = {
    port: await newPort(),
    directory: join(home, 'redis'),
    password: 'correct',
    tls: undefined,
    users: '',
  };
  const server = await launch(home, 'redis', redisConfig(settings));
  const ready = () =>
    until(
      () => redisReady(settings, server.output),
      10_000,
      () => server.pid === undefined,
    );
  await ready();
  return { settings, server, ready };
}

test('a write that Redis acknowledged is there after kill -9', async () => {
  using home = temporaryHome('redis');
  const { settings, server, ready } = await launchRedis(home.path);
  await using _ = { [Symbol.asyncDispose]: () => server.stop() };
  const redis = new Redis({ ...settings, retryStrategy: () => 25 });
  redis.on('error', () => undefined);
  await redis.set('key', 'value');
  await server.kill();
  server.start();
  await ready();
  expect(await redis.get('key')).toBe('value');
  redis.disconnect();
});

test('Redis lets nobody in without the password', async () => {
  using home = temporaryHome('redis');
  const { settings, server } = await launchRedis(home.path);
  await using _ = { [Symbol.asyncDispose]: () => server.stop() };
  const stranger = new Redis({ port: settings.port, enableReadyCheck: false });
  stranger.on('error', () => undefined);
  await expect(stranger.get('key')).rejects.toThrow(/NOAUTH/);
  stranger.disconnect();
});

test('NATS has JetStream, and lets nobody in without a password', async () => {
  using home = temporaryHome('nats');
  const settings = {
    port: await newPort(),
    directory: join(home.path, 'nats'),
    passwordOf: () => 'correct',
    tls: undefined,
  };
  const server = await launch(home.path, 'nats', natsConfig(settings));
  await using _ = { [Symbol.asyncDispose]: () => server.stop() };
  await until(
    () => natsReady(settings, server.output),
    10_000,
    () => server.pid === undefined,
  );
  await expect(connect({ servers: `127.0.0.1:${settings.port}` })).rejects.toThrow(/authorization.violation/i);
});

test('a Redis or NATS that has our port, and takes any password, does not pass for ours', async () => {
  using home = temporaryHome('redis');
  using ours = temporaryHome('redis');
  for (const directory of [home.path, ours.path]) mkdirSync(join(directory, 'nats'));
  const port = await newPort();
  const configOf = {
    redis: (directory: string) =>
      redisConfig({ port, directory: join(directory, 'redis'), password: 'ours', tls: undefined, users: '' }),
    nats: (directory: string) =>
      natsConfig({ port, directory: join(directory, 'nats'), passwordOf: () => 'ours', tls: undefined }),
  };
  const isReady = {
    redis: (output: string) => redisReady({ port, directory: '', password: 'ours', tls: undefined, users: '' }, output),
    nats: (output: string) => natsReady({ port, directory: '', passwordOf: () => 'ours', tls: undefined }, output),
  };
  for (const name of ['redis', 'nats'] as const) {
    const open = configOf[name](home.path).replace(/^requirepass .*|^FRONTEND_PASSWORD[^]*/m, '');
    const other = await launch(home.path, name, open);
    await using _other = { [Symbol.asyncDispose]: () => other.stop() };
    await expect.poll(() => isReady[name](other.output), { timeout: 10_000 }).toBe(true);
    const mine = await launch(ours.path, name, configOf[name](ours.path));
    await using _mine = { [Symbol.asyncDispose]: () => mine.stop() };
    await expect.poll(() => mine.pid, { timeout: 10_000 }).toBeUndefined();
    expect(await isReady[name](mine.output)).toBe(false);
  }
});
