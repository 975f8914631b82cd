import { dueQueue } from '@keyfleet/shared/due-queue';
import { startNotices } from '@keyfleet/shared/notices';
import { startServer, type TestServer } from '@keyfleet/test-support/servers';
import { connect } from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { newPort } from '../../tools/ports.ts';

const resources = new AsyncDisposableStack();
let servers: readonly TestServer[];
const addresses = () => servers.map(({ port }) => `127.0.0.1:${port}`);

beforeAll(async () => {
  const routes = await Promise.all(Array.from({ length: 3 }, () => newPort()));
  const all = routes.map((port) => `nats://127.0.0.1:${port}`).join(',');
  servers = await Promise.all(
    routes.map(async (route) =>
      resources.use(
        await startServer((port, dir) => ({
          command: 'nats-server',
          args: `--addr 127.0.0.1 --port ${port} --jetstream --store_dir ${dir} --name nats-${port} --cluster_name keyfleet --cluster nats://127.0.0.1:${route} --routes ${all}`.split(
            ' ',
          ),
        })),
      ),
    ),
  );
}, 60_000);

afterAll(() => resources.disposeAsync());

test('work and notices survive the death of each of three servers in turn, under load', async () => {
  const nats = { servers: addresses() };
  await using publisher = startNotices({ nats, name: 'domain-manager', streamReplicas: 3 });
  await using subscriber = startNotices({ nats, name: 'frontend' });
  const worked = new Set<number>();
  const work = async ({ shard }: { readonly shard: number }) => void worked.add(shard);
  let looks = 0;
  subscriber.subscribe('domainToken', () => looks++);
  await using _worker = dueQueue.startWorker(subscriber, work, () => {});

  const publish = (shard: number, id: string) =>
    dueQueue.publish(publisher, [{ shard }], { idOf: () => id, onProblem: () => {} });
  await vi.waitUntil(() => publish(0, 'first'), { timeout: 60_000, interval: 200 });
  for (const [index, server] of servers.entries()) {
    worked.clear();
    await server.kill();
    // What is acknowledged with a server away is worked on, though the next dies right after.
    for (let shard = 0; shard < 16; shard++) {
      await vi.waitUntil(() => publish(shard, `${index}/${shard}/${Date.now()}`), { timeout: 60_000, interval: 200 });
    }
    const before = looks;
    const generation = index + 1;
    await vi.waitUntil(() => publisher.publish('domainToken', { generation }), { timeout: 60_000, interval: 200 });
    await vi.waitFor(() => expect(looks).toBeGreaterThan(before), { timeout: 60_000 });
    await vi.waitFor(() => expect(worked.size).toBe(16), { timeout: 60_000 });
    await server.restart();
    await isWhole();
  }
}, 300_000);

/** Resolves when every stream has three replicas that are up to date. */
async function isWhole(): Promise<void> {
  const connection = await connect({ servers: addresses() });
  try {
    // Without a leader yet, not even the check of the API is answered: that is "not whole yet", as below.
    const { streams } = await connection.jetstreamManager({ checkAPI: false });
    for (;;) {
      const all = await streams
        .list()
        .next()
        .catch(() => []);
      const replicas = all.flatMap(({ cluster }) => cluster?.replicas ?? []);
      if (all.length === 1 && replicas.length === 2 && replicas.every(({ current }) => current)) return;
      await delay(200);
    }
  } finally {
    await connection.close();
  }
}
