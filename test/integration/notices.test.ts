import { startNotices } from '@keyfleet/shared/notices';
import { expect, test, vi } from 'vitest';
import { startNats } from '../support/servers.ts';

test('a subscriber gets what is published, and the newest notice when it comes late', async () => {
  await using nats = await startNats();
  const options = { servers: [`127.0.0.1:${nats.port}`], name: 'test' };
  await using publisher = startNotices(options);
  await using early = startNotices(options);
  const seen: number[] = [];
  early.subscribe('domainToken', ({ generation }) => seen.push(generation));
  await vi.waitFor(async () => {
    await publisher.publish('domainToken', { generation: 1 });
    expect(seen).toContain(1);
  });
  await publisher.publish('domainToken', { generation: 2 });

  await using late = startNotices(options);
  const seenLate: number[] = [];
  late.subscribe('domainToken', ({ generation }) => seenLate.push(generation));
  await vi.waitFor(() => expect([seen.at(-1), seenLate]).toEqual([2, [2]]));
});

test('both ends start before NATS does, and find each other again after it was killed', async () => {
  await using nats = await startNats();
  await nats.kill();
  const options = { servers: [`127.0.0.1:${nats.port}`], name: 'test' };
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
      { timeout: 15_000 },
    );
    await nats.kill();
  }
  expect(seen).not.toContain(1);
});
