import { startNotices } from '@keyfleet/shared/notices';
import { publishResealItems, resealQueue } from '@keyfleet/shared/reseal-queue';
import { startNats } from '@keyfleet/test-support/servers';
import {
  AckPolicy,
  connect,
  type JetStreamManager,
  type NatsConnection,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
} from 'nats';
import { expect, test, vi } from 'vitest';

const QUEUE = 'KEYFLEET_RESEAL_SHARDS';
const attempt = (n: number) => ({ attempt: n, onProblem: () => {} });

test('a subscriber looks when it has connected, and at each notice', async () => {
  await using nats = await startNats();
  const options = { nats: { servers: [`127.0.0.1:${nats.port}`] }, name: 'test' };
  await using publisher = startNotices(options);
  await using subscriber = startNotices(options);
  let looks = 0;
  subscriber.subscribe('domainToken', () => looks++);
  await vi.waitFor(() => expect([looks, publisher.connection()]).toEqual([1, expect.anything()]), 20_000);
  for (const generation of [2, 3]) {
    expect(await publisher.publish('domainToken', { generation })).toBe(true);
    await vi.waitFor(() => expect(looks).toBe(generation), 20_000);
  }
});

test('both ends start before NATS does, and find each other again after it was killed', async () => {
  await using nats = await startNats();
  await nats.kill();
  const options = { nats: { servers: [`127.0.0.1:${nats.port}`] }, name: 'test' };
  await using publisher = startNotices(options);
  await using subscriber = startNotices(options);
  let looks = 0;
  subscriber.subscribe('domainToken', () => looks++);
  expect(await publisher.publish('domainToken', { generation: 1 })).toBe(false);

  for (const generation of [2, 3]) {
    const before = looks;
    await nats.restart();
    // Of its own accord.
    await vi.waitFor(() => expect(looks).toBe(before + 1), { timeout: 60_000 });
    await vi.waitFor(async () => expect(await publisher.publish('domainToken', { generation })).toBe(true), {
      timeout: 60_000,
    });
    await vi.waitFor(() => expect(looks).toBe(before + 2), { timeout: 60_000 });
    await nats.kill();
  }
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
  await vi.waitFor(async () => expect(await publishResealItems(notices, [item], attempt(1))).toBe(true), 20_000);
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
  await vi.waitFor(async () => expect(await publishResealItems(notices, items, attempt(1))).toBe(true), 20_000);
  for (let n = 2; n < 10; n++) {
    expect(await publishResealItems(notices, items, attempt(n))).toBe(true);
  }
  const connection = await connect({ servers });
  const manager = await connection.jetstreamManager();
  const { state } = await manager.streams.info('KEYFLEET_RESEAL_SHARDS');
  expect(state.messages).toBe(items.length);
  await connection.close();
});

/** What the owner of a domain-manager's password, or of NATS, can do to a queue. */
test.each<[string, (manager: JetStreamManager) => Promise<unknown>]>([
  ['a sealed stream', ({ streams }) => streams.update(QUEUE, { sealed: true } as never)],
  [
    'a stream of another kind',
    async ({ streams }) => {
      await streams.delete(QUEUE);
      await streams.add({ name: QUEUE, subjects: ['keyfleet.reseal.shard.*'], storage: StorageType.Memory });
    },
  ],
  [
    'a consumer of other subjects',
    async ({ consumers }) => {
      await consumers.delete(QUEUE, 'frontends');
      const filter = { filter_subject: 'keyfleet.reseal.shard.none', replay_policy: ReplayPolicy.Original };
      await consumers.add(QUEUE, { durable_name: 'frontends', ack_policy: AckPolicy.Explicit, ...filter });
    },
  ],
  [
    "somebody else's consumer",
    async ({ consumers }) => {
      await consumers.delete(QUEUE, 'frontends');
      await consumers.add(QUEUE, { durable_name: 'mine', ack_policy: AckPolicy.Explicit });
    },
  ],
])('%s ends with the next item', async (_, alter) => {
  await using nats = await startNats();
  const servers = [`127.0.0.1:${nats.port}`];
  await using notices = startNotices({ nats: { servers }, name: 'test' });
  const worked: number[] = [];
  const work = async ({ pass }: { readonly pass: number }) => void worked.push(pass);
  await using _worker = resealQueue.startWorker(notices, work, () => {});
  const item = (pass: number) => ({ generation: 2, pass, shard: 0, shards: 1 });
  await vi.waitFor(async () => expect(await publishResealItems(notices, [item(1)], attempt(1))).toBe(true), 20_000);
  await vi.waitFor(() => expect(worked).toEqual([1]), 20_000);

  const connection = await connect({ servers });
  await alter(await connection.jetstreamManager());
  await connection.close();
  expect(await publishResealItems(notices, [item(2)], attempt(1))).toBe(true);
  await vi.waitFor(() => expect(worked).toEqual([1, 2]), 20_000);
});

test('a frontend that takes a thousand items of its own and puts them off for ever keeps no other from being taken', async () => {
  await using nats = await startNats();
  const servers = [`127.0.0.1:${nats.port}`];
  await using notices = startNotices({ nats: { servers }, name: 'test' });
  const item = (pass: number) => ({ generation: 2, pass, shard: 0, shards: 1 });
  await vi.waitFor(async () => expect(await publishResealItems(notices, [item(1)], attempt(1))).toBe(true), 20_000);

  const connection = await connect({ servers });
  const hostile = connection.jetstream();
  const consumer = await hostile.consumers.get(QUEUE, 'frontends');
  await (await consumer.next())!.ackAck();
  const own = Array.from({ length: 1_100 }, (_, i) => hostile.publish(`keyfleet.reseal.shard.x${i}`, '{}'));
  await Promise.all(own);
  for await (const message of await consumer.fetch({ max_messages: 1_100, expires: 5_000 })) message.nak(3_600_000);
  await connection.flush();
  await connection.close();

  const worked: number[] = [];
  const work = async ({ pass }: { readonly pass: number }) => void worked.push(pass);
  await using _worker = resealQueue.startWorker(notices, work, () => {});
  expect(await publishResealItems(notices, [item(2)], attempt(2))).toBe(true);
  await vi.waitFor(() => expect(worked).toContain(2), 20_000);
});

test('a stream of another name for the same subjects is named as what keeps work from being queued', async () => {
  await using nats = await startNats();
  const servers = [`127.0.0.1:${nats.port}`];
  await using notices = startNotices({ nats: { servers }, name: 'test' });
  await vi.waitUntil(() => notices.connection() !== undefined, 20_000);
  const connection = await connect({ servers });
  const { streams } = await connection.jetstreamManager();
  await streams.add({ name: 'OTHER', subjects: ['keyfleet.reseal.shard.*'] });
  const problems: string[] = [];
  const queue = (n: number) =>
    publishResealItems(notices, [{ generation: 2, pass: n, shard: 0, shards: 1 }], {
      attempt: n,
      onProblem: (problem) => problems.push(String(problem)),
    });
  expect([await queue(1), problems]).toEqual([false, [expect.stringContaining('subjects overlap')]]);
  await streams.delete('OTHER');
  expect(await queue(2)).toBe(true);
  await connection.close();
});

test('why an item was not queued is told, while NATS is there', async () => {
  await using nats = await startNats();
  const connection = await connect({ servers: [`127.0.0.1:${nats.port}`] });
  await connection.close();
  const told: unknown[] = [];
  const queue = (found: NatsConnection | undefined) =>
    publishResealItems(
      { connection: () => found, streamReplicas: 1 },
      [{ generation: 2, pass: 1, shard: 0, shards: 1 }],
      {
        attempt: 1,
        onProblem: (problem) => told.push(String(problem)),
      },
    );
  expect([await queue(undefined), await queue(connection), told]).toEqual([
    false,
    false,
    ['NatsError: CONNECTION_CLOSED'],
  ]);
});

test('a notice is what services say, and no answer of JetStream with a member of that name', async () => {
  await using nats = await startNats();
  const servers = [`127.0.0.1:${nats.port}`];
  await using notices = startNotices({ nats: { servers }, name: 'test' });
  const seen: string[] = [];
  notices.subscribe('proposal', () => seen.push('proposal'));
  notices.subscribe('domainToken', () => seen.push('token'));
  await vi.waitFor(() => expect(seen).toEqual(['proposal', 'token']), 20_000);
  await notices.publish('proposal', {});
  const connection = await connect({ servers });
  connection.publish('$JS.API.INFO', undefined, { reply: 'keyfleet.domain.proposal' });
  connection.publish('keyfleet.domain.token', JSON.stringify({ generation: 3, pass: 1, shard: 0, shards: 16 }));
  await connection.flush();
  await notices.publish('domainToken', { generation: 4 });
  await vi.waitFor(() => expect(seen.slice(2)).toEqual(['proposal', 'token']), 20_000);
  await connection.close();
});
