import { startNotices } from '@keyfleet/shared/notices';
import { publishResealItems, resealQueue } from '@keyfleet/shared/reseal-queue';
import { startNats } from '@keyfleet/test-support/servers';
import { connect, RetentionPolicy } from 'nats';
import { expect, test, vi } from 'vitest';

test('a subscriber gets what is published, and the newest notice when it comes late', async () => {
  await using nats = await startNats();
  const options = { nats: { servers: [`127.0.0.1:${nats.port}`] }, name: 'test' };
  await using publisher = startNotices(options);
  await using early = startNotices(options);
  const seen: number[] = [];
  early.subscribe('domainToken', ({ generation }) => seen.push(generation));
  await vi.waitFor(async () => {
    await publisher.publish('domainToken', { generation: 1 });
    expect(seen).toContain(1);
  }, 20_000);
  await publisher.publish('domainToken', { generation: 2 });

  await using late = startNotices(options);
  const seenLate: number[] = [];
  late.subscribe('domainToken', ({ generation }) => seenLate.push(generation));
  await vi.waitFor(() => expect([seen.at(-1), seenLate]).toEqual([2, [2]]), 20_000);
});

test('both ends start before NATS does, and find each other again after it was killed', async () => {
  await using nats = await startNats();
  await nats.kill();
  const options = { nats: { servers: [`127.0.0.1:${nats.port}`] }, name: 'test' };
  await using publisher = startNotices(options);
  await using subscriber = startNotices(options);
  const seen: number[] = [];
  subscriber.subscribe('domainToken', ({ generation }) => seen.push(generation));
  await publisher.publish('domainToken', { generation: 1 });

  for (const generation of [2, 3]) {
    await nats.restart();
    await vi.waitFor(
      async () => {
        await publisher.publish('domainToken', { generation });
        expect(seen).toContain(generation);
      },
      { timeout: 60_000 },
    );
    await nats.kill();
  }
  expect(seen).not.toContain(1);
});

test('what a release of before had queued for resealing is thrown away, and resealing is asked for as ever', async () => {
  await using nats = await startNats();
  const servers = [`127.0.0.1:${nats.port}`];
  const connection = await connect({ servers });
  const manager = await connection.jetstreamManager();
  await manager.streams.add({
    name: 'KEYFLEET_RESEAL',
    subjects: ['keyfleet.reseal.item'],
    retention: RetentionPolicy.Workqueue,
  });
  await connection.jetstream().publish('keyfleet.reseal.item', '{}');
  await using notices = startNotices({ nats: { servers }, name: 'test' });
  const problems: unknown[] = [];
  const worked: unknown[] = [];
  const work = (item: unknown) => Promise.resolve(void worked.push(item));
  await using _worker = resealQueue.startWorker(notices, work, (problem) => problems.push(problem));
  const item = { generation: 2, pass: 1, shard: 0, shards: 1 };
  await vi.waitFor(async () => expect(await publishResealItems(notices, [item], 1)).toBe(true), 20_000);
  await vi.waitFor(() => expect(worked).toEqual([item]), 20_000);
  const streams = (await manager.streams.list().next()).map(({ config }) => config.name);
  expect(streams).toContain('KEYFLEET_RESEAL_SHARDS');
  expect(streams).not.toContain('KEYFLEET_RESEAL');
  expect(problems).toEqual([]);
  await connection.close();
});

test('one item of each shard waits at most, however often resealing is asked for while nobody takes it', async () => {
  await using nats = await startNats();
  const servers = [`127.0.0.1:${nats.port}`];
  await using notices = startNotices({ nats: { servers }, name: 'test' });
  const items = Array.from({ length: 8 }, (_, shard) => ({ generation: 2, pass: 1, shard, shards: 8 }));
  await vi.waitFor(async () => expect(await publishResealItems(notices, items, 1)).toBe(true), 20_000);
  for (let attempt = 2; attempt < 10; attempt++) {
    expect(await publishResealItems(notices, items, attempt)).toBe(true);
  }
  const connection = await connect({ servers });
  const manager = await connection.jetstreamManager();
  const { state } = await manager.streams.info('KEYFLEET_RESEAL_SHARDS');
  expect(state.messages).toBe(items.length);
  await connection.close();
});
