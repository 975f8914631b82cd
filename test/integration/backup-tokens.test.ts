import { systemClock } from '@keyfleet/shared/clock';
import { formatTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { giveIdentity } from '@keyfleet/shared/redis/store-identity';
import { tokensAt } from '@keyfleet/shared/stored/names';
import { RedisStore } from '@keyfleet/domain-manager/store/redis-store';
import { TokenLog } from '@keyfleet/domain-manager/token-log';
import { runKeyfleet } from '@keyfleet/test-support/cli';
import { TestDomain } from '@keyfleet/test-support/domain';
import { connectTestRedis, PATIENCE_MS, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const name = tokensAt('test');
const domain = new TestDomain({ members: 3 });
for (let i = 0; i < 3; i++) domain.rotate();
const { anchor, clock } = domain;
/** The same tokens to whoever looks at hashes and lengths alone. */
const forged = domain.tokens.map((token) => withWitness(parseToken(token), Buffer.from('no witness')));

let server: TestServer;
let redis: RedisClient & AsyncDisposable;
let dir: string;
beforeAll(async () => {
  server = await startRedis();
  redis = await connectTestRedis(server.port, PATIENCE_MS);
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await redis.flushall();
  await redis.rpush(name, ...domain.tokens);
  await giveIdentity(redis, 'test');
  dir = mkdtempSync(join(tmpdir(), 'keyfleet-backup-'));
  writeFileSync(join(dir, 'trust-anchor.json'), formatTrustAnchor(anchor));
  return () => rmSync(dir, { recursive: true });
});

const from = () => ['--redis', `redis://127.0.0.1:${server.port}`];
const withAnchor = () => ['--trust-anchor', join(dir, 'trust-anchor.json')];
const file = () => join(dir, 'backup');
const backup = (...more: string[]) => runKeyfleet('backup', ...from(), '--out', file(), ...more);
const restore = (...more: string[]) => runKeyfleet('restore', file(), ...from(), ...more);
const stored = () => redis.lrangeBuffer(name, 0, -1);

/** A domain-manager's. */
function logOn(client: RedisClient): TokenLog {
  const store = new RedisStore(writesOf(client), systemClock, { domain: 'test', storeId: () => '' });
  return new TokenLog({ store, anchor, clock, monotonicClock: clock });
}

describe('a list of domain tokens in which somebody replaced witnesses, and left all hashes,', () => {
  test.each([1, 3])('from token %i on, is named by a backup and by its restore, which ends it there', async (first) => {
    for (const [i, token] of forged.entries()) if (i >= first - 1) await redis.lset(name, i, token);
    const said = `${name} (from element ${first - 1} on: token ${first} does not verify: not a canonical`;
    const taken = await backup();
    expect(taken.exitCode).toBe(1);
    expect(taken.out).toContain(`A restore of it lacks domain tokens: ${said}`);
    await redis.flushall();
    const restored = await restore();
    expect(restored.exitCode).toBe(1);
    expect(restored.out).toContain(said);
    expect(await stored()).toEqual(domain.tokens.slice(0, first - 1));
    // Whoever starts on it follows it as far as it goes.
    const started = logOn(redis);
    await started.refresh();
    expect(started.generation).toBe(first - 1);
  });

  test('is none where nobody did, with a trust anchor and without', async () => {
    const taken = await backup(...withAnchor());
    expect(taken).toMatchObject({ exitCode: 0, notes: '' });
    for (const options of [[], withAnchor()]) {
      await redis.flushall();
      expect(await restore(...options)).toMatchObject({ exitCode: 0, notes: '' });
      expect(await stored()).toEqual(domain.tokens);
    }
  });
});

test('a domain that somebody founded under the same name is told from the own by the trust anchor', async () => {
  const others = new TestDomain({ members: 3 });
  await redis.del(name);
  await redis.rpush(name, ...others.tokens);
  const said = `${name} (from element 0 on: token 1 does not verify: the signature of alice does not verify)`;
  expect((await backup(...withAnchor())).out).toContain(`A restore of it lacks domain tokens: ${said}`);
  await redis.flushall();
  const restored = await restore(...withAnchor());
  expect([restored.exitCode, await redis.exists(name)]).toEqual([1, 0]);
  expect(restored.out).toContain(said);
});
