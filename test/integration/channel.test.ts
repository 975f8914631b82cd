import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { TestWorkers } from '@keyfleet/test-support/workers';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { newWorkerClient } from '@keyfleet/frontend/hsm/worker-client';
import { type Clock, systemClock } from '@keyfleet/shared/clock';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let cluster: TestWorkers;
beforeAll(async () => {
  cluster = await TestWorkers.start(2);
});
afterAll(() => cluster[Symbol.asyncDispose]());

function startPool(addresses: readonly string[], maxInFlight = 1000, clock: Clock = systemClock) {
  const { domain } = cluster;
  const pool = new WorkerPool({
    workers: addresses.map((address) => newWorkerClient(address, plaintextPeers.credentials)),
    host: cluster.host,
    domain,
    clock,
    maxInFlight,
    onProblem: () => {},
  });
  const commands = pool;
  return {
    pool,
    execute: commands.execute.bind(commands) as typeof commands.execute,
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

const keyId = '1234abcd-12ab-34cd-56ef-1234567890ab';
const account = '111122223333';
const soon = (ms = 5000) => Date.now() + ms;

async function newToken(execute: WorkerPool['execute']): Promise<Uint8Array> {
  const input = { keyId, account, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' } as const;
  return (await execute('GenerateBackingKey', input, soon())).token;
}

describe('the channel to real workers', () => {
  test('makes a backing key and encrypts and decrypts with it, on either worker', async () => {
    await using frontend = startPool(cluster.addresses);
    const { execute } = frontend;
    const key = {
      token: await newToken(execute),
      keyId,
      account,
      algorithm: 'SYMMETRIC_DEFAULT',
      encryptionContext: { a: 'b' },
    };
    for (const address of cluster.addresses) {
      await using one = startPool([address]);
      const { ciphertext } = await one.execute('Encrypt', { ...key, plaintext: Buffer.from('hello') }, soon());
      const { plaintext } = await execute('Decrypt', { ...key, ciphertext }, soon());
      expect(Buffer.from(plaintext).toString()).toBe('hello');
    }
  });

  test('says that a token does not open, and nothing more', async () => {
    await using frontend = startPool(cluster.addresses);
    const token = Buffer.from(await newToken(frontend.execute));
    token[token.length - 1]! ^= 1;
    const encrypt = {
      token,
      keyId,
      account,
      algorithm: 'SYMMETRIC_DEFAULT',
      encryptionContext: {},
      plaintext: Buffer.alloc(1),
    };
    await expect(frontend.execute('Encrypt', encrypt, soon())).rejects.toMatchObject({ refusal: 'damaged-token' });
  });

  test('throttles above its bound, and times out in bounded time without a worker', async () => {
    await using none = startPool(['127.0.0.1:1'], 1);
    const first = expect(none.execute('GenerateRandom', { length: 1 }, soon(300))).rejects.toMatchObject({
      reason: 'timed-out',
    });
    await expect(none.execute('GenerateRandom', { length: 1 }, soon())).rejects.toMatchObject({
      reason: 'overloaded',
    });
    await first;
    expect(none.pool.inFlight).toBe(0);
  });

  test('what a killed worker leaves is done by the other at once, not when a timer goes off', async () => {
    const startedAt = Date.now();
    // Time stands still: nothing is overdue, and no worker is silent for too long.
    await using frontend = startPool(cluster.addresses, 1000, { now: () => startedAt });
    const { pool } = frontend;
    const [victim] = cluster.workers;
    await until(() => pool.ready === 2);
    process.kill(victim!.pid, 'SIGSTOP');
    await until(() => readFileSync(`/proc/${victim!.pid}/stat`, 'utf8').includes(') T '));
    // Enough that either worker gets a part.
    const asked = Array.from({ length: 100 }, () =>
      pool.executeByMember('GenerateRandom', { length: 1 }, startedAt + 60_000),
    );
    await until(() => pool.inFlight < asked.length);
    expect(pool.inFlight).toBeGreaterThan(0);
    await victim!.kill('SIGKILL');
    const answers = await Promise.all(asked);
    expect(new Set(answers.map(({ memberId }) => memberId))).toEqual(new Set(['hsm-2']));
    await victim!.start();
  });

  test.each(['SIGKILL', 'SIGTERM', 'SIGSTOP'] as const)(
    'hides a worker that is hit by %s under load, and uses it again',
    async (signal) => {
      await using frontend = startPool(cluster.addresses);
      const { execute, pool } = frontend;
      const token = await newToken(execute);
      const [victim] = cluster.workers;
      let done = 0;
      const stop = new AbortController();
      const load = Array.from({ length: 32 }, async () => {
        while (!stop.signal.aborted) {
          const input = {
            token,
            keyId,
            account,
            algorithm: 'SYMMETRIC_DEFAULT',
            encryptionContext: {},
            plaintext: Buffer.alloc(32),
          };
          await execute('Encrypt', input, soon());
          done++;
        }
      });
      await until(() => done > 500 && pool.ready === 2);
      if (signal === 'SIGSTOP') process.kill(victim!.pid, signal);
      else expect(await victim!.kill(signal)).toBe(signal === 'SIGTERM' ? 0 : null);
      await until(() => pool.ready === 1);
      const before = done;
      await until(() => done > before + 500);
      if (signal === 'SIGSTOP') process.kill(victim!.pid, 'SIGCONT');
      else await victim!.start();
      await until(() => pool.ready === 2);
      stop.abort();
      // Not one of them failed.
      await Promise.all(load);
    },
  );
});

/** Real processes take real time; the test's own timeout bounds it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(10);
}
