import { randomBytes } from 'node:crypto';
import { StoredTokenCheck } from '@keyfleet/frontend/store/stored-token-check';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { StoreGuard } from '@keyfleet/shared/redis/store-guard';
import { giveIdentity } from '@keyfleet/shared/redis/store-identity';
import { tokensAt } from '@keyfleet/shared/stored/names';
import { TestDomain } from '@keyfleet/test-support/domain';
import { until } from '@keyfleet/test-support/loopback-worker';
import { connectTestRedis, writesOf } from '@keyfleet/test-support/redis-client';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { showing, viewOf } from '@keyfleet/test-support/shown-tokens';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

const HOUR = 3_600_000;
const name = tokensAt('test');

describe('a frontend that relies on domain tokens', () => {
  const redis = useRedis();
  let domain: TestDomain;

  afterEach(() => void vi.useRealTimers());
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    domain = new TestDomain({ members: 3 });
    for (let i = 0; i < 2; i++) rotate();
    await redis.client.rpush(name, ...domain.tokens);
    await giveIdentity(redis.client, 'test');
  });

  function rotate(): Buffer {
    domain.clock.advance(2 * HOUR);
    return domain.rotate();
  }

  /** With the guard of its store; two members have proven the newest token to it. */
  async function open() {
    const manager = showing('one', domain.tokens.slice());
    const client = await connectTestRedis(redis.port);
    const started = viewOf(domain, [manager]);
    const { view } = started;
    await until(() => view.state !== undefined);
    const prove = async (): Promise<void> => {
      for (const hsm of domain.hsms.slice(0, 2)) expect(await started.proves(hsm)).toBe(true);
    };
    await prove();
    const said: string[] = [];
    const check = new StoredTokenCheck(view);
    const guard = new StoreGuard({
      domain: 'test',
      clients: [client],
      writes: writesOf(client),
      clock: { now: Date.now },
      generation: () => view.provenGeneration,
      findLost: (on, isFirst) => check.findLost(on, isFirst),
      operators: () => [],
      keepsWrites: true,
      onRefused: ({ message }) => said.push(message),
      onAccepted: () => {},
    });
    await guard.assertOurs(client);
    return {
      guard,
      said,
      findLost: () => check.findLost(client, true),
      /** A domain-manager shows what there is now, and members have it. */
      async goesOn(): Promise<void> {
        manager.tokens = domain.tokens.slice();
        await view.hear();
        await prove();
      },
      refused: (problem: string) => until(() => passed() && guard.problem?.includes(problem) === true),
      serves: () => until(() => passed() && guard.problem === undefined),
      async [Symbol.asyncDispose]() {
        guard[Symbol.dispose]();
        await started[Symbol.asyncDispose]();
        await client[Symbol.asyncDispose]();
      },
    };
  }

  const lacks = (generation: number) => `it lacks domain token ${generation}, and has something else in its place`;

  test('stops within seconds when its domain-manager stores something else, and goes on once the token is there', async () => {
    await using frontend = await open();
    const hidden = rotate();
    await redis.client.rpush(name, randomBytes(hidden.length));
    await frontend.goesOn();
    await frontend.refused(lacks(4));
    expect(() => frontend.guard.assertFit()).toThrow('docs/recovery.md');
    await redis.client.lset(name, 3, hidden);
    await frontend.serves();
    expect(frontend.said).toHaveLength(1);
  });

  test.each<[string, (token: Buffer) => Buffer]>([
    ['without its witness', (token) => Buffer.from(parseToken(token).made)],
    ['with a false witness', (token) => withWitness(parseToken(token), randomBytes(100))],
    ['with a signature that is none', (token) => withFalseSignature(token)],
    ['that is too long', () => Buffer.alloc(3 * 1024 * 1024 + 1)],
  ])('relies on no token in the store %s', async (_, changed) => {
    await using frontend = await open();
    await redis.client.lset(name, 2, changed(domain.tokens[2]!));
    await frontend.refused(lacks(3));
  });

  test('takes the same token with the witness of another member', async () => {
    const [, , newest] = domain.tokens;
    const other = withWitness(parseToken(newest!), domain.checkBy('hsm-3', newest!));
    expect(other.equals(newest!)).toBe(false);
    await redis.client.lset(name, 2, other);
    await using frontend = await open();
    for (let i = 0; i < 3; i++) expect(await frontend.findLost()).toBeUndefined();
  });

  test('stops when an earlier token is replaced, and goes on when it is back', async () => {
    await using frontend = await open();
    await redis.client.lset(name, 0, 'x');
    await frontend.refused(lacks(1));
    await redis.client.lset(name, 0, domain.tokens[0]!);
    await frontend.serves();
  });

  test('stops when what lies there is no list', async () => {
    await using frontend = await open();
    await redis.client.set(name, 'x');
    await frontend.refused('something else stands in the place of the domain tokens');
  });
});

/** The guard looks each second, and reads tokens again after a while. */
function passed(): true {
  vi.advanceTimersByTime(100);
  return true;
}

/** Of its maker; the hash is the same. */
function withFalseSignature(token: Buffer): Buffer {
  const parsed = parseToken(token);
  const made = Buffer.from(parsed.made);
  const at = made.indexOf(parsed.signature);
  made[at + parsed.signature.length - 1]! ^= 1;
  return withWitness({ made }, parsed.witness!);
}
