import { chmodSync, chownSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { byteSize, configPath, duration, gone, hostPort, loadConfig, readSecretFile } from './config.ts';

const Schema = z.strictObject({
  http: hostPort(),
  timeout: duration('5s'),
  cache: byteSize('64MiB'),
  redis: z.strictObject({ url: z.string(), capacity: gone('set maxBytes') }),
});

function load(text: string) {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-config-'));
  const path = join(directory.path, 'frontend.json');
  writeFileSync(path, text);
  return loadConfig(Schema, path);
}

const good = { http: '127.0.0.1:8900', timeout: '2m', cache: '3KiB', redis: { url: 'redis://localhost' } };

test('durations become milliseconds, amounts of memory bytes, addresses their parts, and the result is frozen', () => {
  const config = load(JSON.stringify(good));
  expect(config).toEqual({
    http: { host: '127.0.0.1', port: 8900, text: '127.0.0.1:8900' },
    timeout: 120_000,
    cache: 3072,
    redis: { url: 'redis://localhost' },
  });
  expect(Object.isFrozen(config.redis)).toBe(true);
});

test('an absent duration or amount takes its default', () => {
  const config = load(JSON.stringify({ ...good, timeout: undefined, cache: undefined }));
  expect(config).toMatchObject({ timeout: 5000, cache: 67_108_864 });
});

test('an IPv6 address loses its brackets', () => {
  expect(load(JSON.stringify({ ...good, http: '[::1]:80' })).http).toEqual({ host: '::1', port: 80, text: '[::1]:80' });
});

test.each([
  ['a port out of range', { ...good, http: 'localhost:70000' }, /frontend\.json: http: must be "host:port"/],
  ['a number for a duration', { ...good, timeout: '15' }, /timeout: must be a duration such as "15s"/],
  ['a number for an amount of memory', { ...good, cache: '64' }, /cache: must be an amount of memory such as "64MiB"/],
  ['an unknown field', { ...good, redis: { url: 'x', user: 'y' } }, /redis\.user: not a known field/],
  [
    'a field of before',
    { ...good, redis: { url: 'x', capacity: 9 } },
    /: redis\.capacity: is a field of an earlier release: set maxBytes\.$/,
  ],
  ['a missing field', { ...good, redis: {} }, /redis\.url: is missing and must be a string/],
])('%s is refused in one line that names file and field', (_, config, message) => {
  expect(() => load(JSON.stringify(config))).toThrow(message);
});

test('a file that is not JSON is refused by name', () => {
  expect(() => load('{')).toThrow(/frontend\.json is not JSON/);
});

test('a missing file is refused by name', () => {
  expect(() => loadConfig(Schema, '/nonexistent/frontend.json')).toThrow(
    'the configuration file /nonexistent/frontend.json does not exist. Create it, or correct the path.',
  );
});

test('a secret is read without its final newline; an empty one is refused', () => {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-config-'));
  const path = join(directory.path, 'password');
  writeFileSync(path, 'correct horse\n', { mode: 0o600 });
  expect(readSecretFile(path, 'redis.passwordFile')).toBe('correct horse');
  writeFileSync(path, '\n');
  expect(() => readSecretFile(path, 'redis.passwordFile')).toThrow(/^redis\.passwordFile: .* is empty/);
});

test.each([0o640, 0o604, 0o620, 0o666])('a secret of mode %o is refused, with the command that mends it', (mode) => {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-config-'));
  const path = join(directory.path, 'password');
  writeFileSync(path, 'correct horse');
  chmodSync(path, mode);
  expect(() => readSecretFile(path, 'sealKeyFile')).toThrow(
    `sealKeyFile: the secret's file ${path} is open to other users. Run: chmod 600 ${path}`,
  );
});

test.runIf(process.geteuid?.() === 0)(
  'a mounted secret of another user may be read by the group, and by no one else',
  () => {
    using directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-config-'));
    const path = join(directory.path, 'password');
    writeFileSync(path, 'correct horse');
    chownSync(path, 65_534, 65_534);
    chmodSync(path, 0o440);
    expect(readSecretFile(path, 'sealKeyFile')).toBe('correct horse');
    chmodSync(path, 0o444);
    expect(() => readSecretFile(path, 'sealKeyFile')).toThrow(/is open to other users/);
  },
);

test('--config is required, and nothing else is taken', () => {
  expect(configPath(['--config', 'a.json'])).toBe('a.json');
  expect(() => configPath([])).toThrow(/Start it with --config PATH/);
  expect(() => configPath(['--confg', 'a.json'])).toThrow(/'--confg'.*Start it with --config PATH/s);
});
