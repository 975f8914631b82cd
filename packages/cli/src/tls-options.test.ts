import { expect, test } from 'vitest';
import { openManager } from './options.ts';
import { openRedis } from './redis-option.ts';

const problem =
  /^--[a-z-]+: (?:\S+ is not this machine|a Redis that it names may be on another machine), and the connection would be unencrypted: .*--tls-ca.*, or give --allow-plaintext\.$/;
const tls = { 'tls-ca': 'none', 'tls-cert': 'none', 'tls-key': 'none' };

test.each([
  'redis://redis.example:6379',
  'redis+sentinel://127.0.0.1:1,redis.example:1/keyfleet',
  'redis+sentinel://127.0.0.1:1/keyfleet',
])('the password of Redis goes to no other machine unencrypted, whatever TLS files there are: %s', async (redis) => {
  const refused = { message: expect.stringMatching(problem), exitCode: 2 };
  await expect(openRedis({ redis })).rejects.toMatchObject(refused);
  await expect(openRedis({ redis, ...tls })).rejects.toMatchObject(refused);
});

test('a domain-manager on another machine is reached by TLS, unless the operator allows plaintext', () => {
  const there = { 'domain-manager': 'dm.example:8921' };
  expect(() => openManager(there)).toThrow(problem);
  expect(() => openManager({ 'domain-manager': '[2001:db8::1]:8921' })).toThrow('2001:db8::1 is not this machine');
  for (const args of [
    { ...there, 'allow-plaintext': true },
    { 'domain-manager': '127.0.0.1:8921' },
    { 'domain-manager': '[::1]:8921' },
    { 'domain-manager': 'localhost:8921' },
  ])
    openManager(args)[Symbol.dispose]();
});
