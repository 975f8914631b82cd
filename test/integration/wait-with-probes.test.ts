import { createLog } from '@keyfleet/shared/log';
import { connectRedis, RedisConfig } from '@keyfleet/shared/redis/connect';
import { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import { expect, test, vi } from 'vitest';
import type { FrontendConfig } from '@keyfleet/frontend/config';
import { waitWithProbes } from '@keyfleet/frontend/edge/wait-with-probes';
import { newPort } from '../../tools/ports.ts';

test('while Redis is awaited, probes are told what is missing, as long as it takes', { timeout: 30_000 }, async () => {
  await using resources = new AsyncDisposableStack();
  const nowhere = RedisConfig.parse({ url: `redis://127.0.0.1:${await newPort()}` });
  const client = resources.use(connectRedis(nowhere, { onProblem: () => {} }));
  const away = () => Promise.reject(new Error('away'));
  const durability = resources.use(new DurabilityWatch(client, away, () => {}));
  const port = await newPort();
  const config = { trustedProxies: [], http: { host: '127.0.0.1', port }, drain: 0 } as unknown as FrontendConfig;
  const stop = new AbortController();
  const log = createLog({ name: 'test', level: 'silent' });
  const waiting = waitWithProbes({ config, log, resources }, { client, durability }, stop.signal);
  const ask = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    return { status: answer.status, text: await answer.text() };
  };
  await vi.waitUntil(() => ask().then(() => true, () => false), { timeout: 20_000 }); // prettier-ignore
  // It asks Redis again each tenth of a second.
  for (let i = 0; i < 5; i++) {
    expect(await ask()).toMatchObject({ status: 503, text: expect.stringContaining('redis') as string });
    await new Promise((later) => setTimeout(later, 100));
  }
  stop.abort();
  expect(await waiting).toBe(false);
});
