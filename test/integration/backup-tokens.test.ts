import { systemClock } from '@keyfleet/shared/clock';
import { formatTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { parseToken, TokenEnvelope, tokenHash, withWitness } from '@keyfleet/shared/domain/token';
import { connectRedis, type RedisClient, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { giveIdentity } from '@keyfleet/shared/redis/store-identity';
import { storeAt, storedValues, tokensAt } from '@keyfleet/shared/stored/names';
import { RedisStore } from '@keyfleet/domain-manager/store/redis-store';
import { TokenLog } from '@keyfleet/domain-manager/token-log';
import { LIST_PIECE } from '@keyfleet/cli/backup/format';
import { runKeyfleet } from '@keyfleet/test-support/cli';
import { TestDomain } from '@keyfleet/test-support/domain';
import { endsOthers } from '@keyfleet/test-support/documented-incident';
import { eventually } from '@keyfleet/test-support/fleet';
import { connectTestRedis, PATIENCE_MS, writesOf } from '@keyfleet/test-support/redis-client';
import { startRedis, type TestServer } from '@keyfleet/test-support/servers';
import { execa } from 'execa';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TokenWatch } from '../../services/domain-manager/src/token-watch.ts';
import { userLines } from '../../tools/servers/redis-users.ts';

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
  const store = new RedisStore(writesOf(client), systemClock, {
    domain: 'test',
    storeId: () => '',
    operators: () => [],
  });
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

describe('beside a domain-manager that kept running, and puts its tokens back, a backup', () => {
  const long = new TestDomain({ members: 3 });
  // More than one piece of a backup has.
  while (long.generation <= LIST_PIECE) long.rotate();
  const again = long.tokens.map((token) => {
    const { body, witness, signerId } = parseToken(token);
    const made = TokenEnvelope.encode({ body, signature: long.identities.get(signerId)!.sign(body) });
    return witness === undefined ? made : withWitness({ made }, witness);
  });
  const confirmed = long.tokens.map((token, i) =>
    i === 0 ? token : withWitness(parseToken(token), long.checkBy('hsm-3', token)),
  );

  beforeEach(async () => {
    await redis.del(name);
    await redis.rpush(name, ...long.tokens);
    await backup();
    await redis.flushall();
  });

  test.each([
    ['signed another time', again],
    ['confirmed by another member', confirmed],
  ])('restores where these are %s: they are the same tokens', async (_, tokens) => {
    expect(tokens.map((token) => tokenHash(token))).toEqual(long.tokens.map((token) => tokenHash(token)));
    await redis.rpush(name, ...tokens);
    expect(await restore()).toMatchObject({ exitCode: 0, notes: '' });
    expect(await stored()).toEqual(tokens);
  });

  test('does not restore where one of these does not verify, though its hash is the same', async () => {
    const other = withWitness(parseToken(long.tokens.at(-1)!), Buffer.from('no witness'));
    await redis.rpush(name, ...again.with(-1, other));
    const refused = await restore();
    expect([refused.exitCode, await redis.exists(storeAt('test'))]).toEqual([1, 0]);
    expect(refused.notes).toContain('this Redis holds 1 Keyfleet values already');
  });
});

test('whoever brings the first token to an emptied Redis keeps a restore from beginning, and docs/recovery.md says how to go on', async () => {
  await backup();
  await redis.flushall();
  const started = logOn(redis);
  await started.refresh();
  expect(await started.append(domain.tokens[0]!, async ({ witness }) => witness)).toBe(true);
  const page = readFileSync(join(import.meta.dirname, '../../docs/recovery.md'), 'utf8');
  const [, said = ''] = /`(this Redis holds [^`]+)`\. Stop those domain-managers, empty Redis again/.exec(page)!;
  expect((await restore()).notes).toContain(said);
  await redis.flushall();
  expect(await restore()).toMatchObject({ exitCode: 0, notes: '' });
  const again = logOn(redis);
  await again.refresh();
  expect(again.generation).toBe(domain.generation);
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

test('an acceptance of the store names what somebody put behind the domain tokens, and where to read about it', async () => {
  await redis.rpush(name, Buffer.alloc(storedValues.tokens.maxBytes + 1));
  const refused = await runKeyfleet('store', 'accept', '--as', 'anna', '--key', 'none', ...withAnchor(), ...from());
  expect(refused.exitCode).toBe(1);
  expect(refused.notes).toMatch(
    /^keyfleet: element 4 of kf:domain:\{test\}:tokens has \d+ bytes.* See docs\/recovery\.md/,
  );
});

describe('somebody who writes in a loop as the user of domain-managers, and leaves', () => {
  let attacker: RedisClient & AsyncDisposable;
  let manager: RedisClient & AsyncDisposable;
  let watch: TokenWatch;

  const connect = (password: string) => {
    writeFileSync(join(dir, password), password, { mode: 0o600 });
    const url = `redis://127.0.0.1:${server.port}`;
    const config = RedisConfig.parse({ url, username: 'domain-manager', passwordFile: join(dir, password) });
    return connectRedis(config, { onProblem: () => {} });
  };
  const as = async (password: string) => {
    const client = connect(password);
    await untilReady(client, PATIENCE_MS);
    return client;
  };
  /** What docs/domain.md says: each connection of that user but those of domain-managers. */
  async function endOthers(client: RedisClient): Promise<void> {
    const own = String(await redis.client('LIST', 'ID', Number(await client.client('ID'))));
    const [, address = ''] = / addr=(\S+) /.exec(own)!;
    const { stdout } = await execa('sh', ['-c', endsOthers(address, `redis-cli -p ${server.port}`)]);
    expect(stdout.trim()).toMatch(/^1(?:\s+1)*$/);
  }
  const setUser = (...rules: string[]) => redis.acl('SETUSER', 'domain-manager', ...rules);

  beforeEach(async () => {
    const [line] = userLines(() => 'old')
      .split('\n')
      .filter((one) => one.startsWith('user domain-manager '));
    const rules = line!.slice('user domain-manager '.length).match(/\([^)]*\)|\S+/g)!;
    await setUser('reset', ...rules);
    attacker = await as('old');
    manager = await as('old');
    watch = new TokenWatch({ tokens: logOn(manager), events: { tokensUnreadable() {} } });
    await watch.started();
    let isRunning = true;
    const loop = (async () => {
      for (let i = 0; isRunning; i = (i + 1) % forged.length)
        await attacker.lset(name, i, forged[i]!).catch(() => new Promise((r) => setTimeout(r, 20)));
    })();
    return async () => {
      isRunning = false;
      await loop;
      await watch[Symbol.asyncDispose]();
      for (const client of [attacker, manager]) await client[Symbol.asyncDispose]();
      await redis.acl('DELUSER', 'domain-manager');
    };
  });

  async function expectWhole(): Promise<void> {
    await eventually(
      'all are back',
      async () => (await stored()).every((token, i) => token.equals(domain.tokens[i]!)),
      20_000,
    );
    expect(await redis.llen(name)).toBe(domain.generation);
    expect(await backup(...withAnchor())).toMatchObject({ exitCode: 0, notes: '' });
    await using client = await as('new');
    const started = logOn(client);
    await started.refresh();
    expect(started.generation).toBe(domain.generation);
  }

  test('has the tokens put back, where connections of domain-managers outlive the change of the password', async () => {
    await setUser('resetpass', '>new');
    await endOthers(manager);
    await expectWhole();
    expect(attacker.status).not.toBe('ready');
  }, 60_000);

  test('has them put back, too, where both were cut off, and domain-managers are let in once more', async () => {
    await setUser('resetpass', '>new');
    await redis.client('KILL', 'USER', 'domain-manager');
    await eventually('both are cut off', () => manager.status !== 'ready' && attacker.status !== 'ready');
    expect((await backup(...withAnchor())).exitCode).toBe(1);
    rmSync(file());
    await setUser('>old');
    await eventually('both are there again', () => manager.status === 'ready' && attacker.status === 'ready');
    await setUser('<old');
    await endOthers(manager);
    await expectWhole();
    expect(attacker.status).not.toBe('ready');
  }, 60_000);
});
