import { inOrderOfLeaving } from '@keyfleet/test-support/documented-incident';
import { passwordOf, RedisWithSentinels } from '@keyfleet/test-support/redis-sentinels';
import type { TestServer } from '@keyfleet/test-support/servers';
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';

// What an operator who leaves knew of Redis with Sentinels (docs/ceremony.md, "Changing members, operators and rules").

/** What a person needs for a command. In two of them Sentinels see that they have lost the master. */
const PAUSE_MS = 3_000;
const REPLACED = ['operator', 'replica', 'sentinel'];
const newPasswordOf = (user: string) => (REPLACED.includes(user) ? `new ${passwordOf(user)}` : passwordOf(user));
const rule = (user: string) => `>${newPasswordOf(user)}`;

let redis: RedisWithSentinels;
beforeAll(async () => void (redis = await RedisWithSentinels.start()), 180_000);
afterAll(() => redis?.[Symbol.asyncDispose]());

let passwords = passwordOf;
async function call(server: TestServer, ...command: [string, ...string[]]): Promise<unknown> {
  await using operator = await redis.connectAs('operator', { server, password: passwords('operator') });
  return await operator.call(...command);
}
async function onEach(servers: readonly TestServer[], ...command: [string, ...string[]]): Promise<void> {
  for (const server of servers) await call(server, ...command);
}
/** The hashes of its users' passwords, beside their names. */
async function hashesOf(server: TestServer): Promise<string[]> {
  const lines = (await call(server, 'ACL', 'LIST')) as string[];
  return lines.map((line) => [line.split(' ')[1], ...line.split(' ').filter((word) => word.startsWith('#'))].join(' '));
}
const withHashes = (users: readonly string[]) => {
  const hashed = users.map((user) => `${user} #${createHash('sha256').update(newPasswordOf(user)).digest('hex')}`);
  return ['default', 'probe', ...hashed].toSorted();
};

test('a person who leaves has no password of Redis and its Sentinels, and nobody was promoted meanwhile', async () => {
  const { nodes, sentinels } = redis;
  const all = [...nodes, ...sentinels];
  await using frontend = await redis.connectAs('frontend');
  const id = await frontend.client('ID');
  await call(nodes[1]!, 'ACL', 'SETUSER', 'frontend', '>of his own');

  const steps = inOrderOfLeaving<() => Promise<unknown>>({
    '`ACL SETUSER operator resetpass >...`': async () => {
      await onEach(all, 'ACL', 'SETUSER', 'operator', 'resetpass', rule('operator'));
      passwords = newPasswordOf;
      await onEach(all, 'CLIENT', 'KILL', 'USER', 'operator');
    },
    '`ACL SETUSER replica >...`': () => onEach(nodes, 'ACL', 'SETUSER', 'replica', rule('replica')),
    '`ACL SETUSER sentinel >...`': () => onEach(all, 'ACL', 'SETUSER', 'sentinel', rule('sentinel')),
    '`CONFIG SET masterauth ...`': () => onEach(nodes, 'CONFIG', 'SET', 'masterauth', newPasswordOf('replica')),
    '`SENTINEL SET keyfleet auth-pass ...`': () =>
      onEach(sentinels, 'SENTINEL', 'SET', 'keyfleet', 'auth-pass', newPasswordOf('sentinel')),
    '`SENTINEL CONFIG SET sentinel-pass ...`': () =>
      onEach(sentinels, 'SENTINEL', 'CONFIG', 'SET', 'sentinel-pass', newPasswordOf('sentinel')),
    '`ACL SETUSER ... resetpass >...`': async () => {
      await onEach(nodes, 'ACL', 'SETUSER', 'replica', 'resetpass', rule('replica'));
      await onEach(all, 'ACL', 'SETUSER', 'sentinel', 'resetpass', rule('sentinel'));
    },
    '`CLIENT KILL USER ...`': async () => {
      for (const node of nodes) {
        for (const user of ['replica', 'sentinel']) {
          await delay(PAUSE_MS);
          await call(node, 'CLIENT', 'KILL', 'USER', user);
        }
      }
      await onEach(sentinels, 'CLIENT', 'KILL', 'USER', 'sentinel');
    },
    '`ACL SETUSER ... !SHA-256`': async () => {
      const his = createHash('sha256').update('of his own').digest('hex');
      expect((await hashesOf(nodes[1]!)).join(' ')).toContain(`#${his}`);
      await call(nodes[1]!, 'ACL', 'SETUSER', 'frontend', `!${his}`);
    },
  });
  for (const [words, step] of steps) {
    await step();
    const roles = await Promise.all(nodes.map(async (node) => (await call(node, 'ROLE')) as unknown[]));
    expect(
      roles.map(([role]) => role),
      words,
    ).toEqual(['master', 'slave', 'slave']);
  }

  const services = ['frontend', 'domain-manager'];
  for (const node of nodes) expect(await hashesOf(node)).toEqual(withHashes([...REPLACED, ...services]));
  for (const one of sentinels) expect(await hashesOf(one)).toEqual(withHashes(['operator', 'sentinel', ...services]));
  for (const node of nodes.slice(1))
    await expect.poll(async () => ((await call(node, 'ROLE')) as unknown[])[3], { timeout: 20_000 }).toBe('connected');
  // Sentinels do what they are for.
  for (const sentinel of sentinels) {
    const quorum = () => call(sentinel, 'SENTINEL', 'CKQUORUM', 'keyfleet').catch(String);
    await expect.poll(quorum, { timeout: 20_000 }).toMatch('OK 3 usable Sentinels');
  }
  expect(await frontend.client('ID')).toBe(id);
}, 120_000);
