import { type EventEmitter, once } from 'node:events';
import { unhandledRejections } from '@keyfleet/test-support/unhandled-rejections';
import { expect, test } from 'vitest';
import { sentinelConnector } from './sentinels.ts';

interface Client extends EventEmitter {
  subscribe(channel: string): Promise<unknown>;
  disconnect(): void;
}

test('a subscription that ioredis makes by itself, and that fails, does not end the process', async () => {
  const Connector = sentinelConnector(() => {});
  const connector = new Connector({ sentinels: [{ host: '127.0.0.1', port: 1 }], name: 'keyfleet' });
  const sentinel = connector['connectToSentinel'](
    { host: '127.0.0.1', port: 1 },
    { lazyConnect: true },
  ) as unknown as Client;
  const unheard = await unhandledRejections(async () => {
    const ended = once(sentinel, 'end');
    void sentinel.subscribe('+switch-master');
    sentinel.disconnect();
    await ended;
  });
  expect(unheard).toEqual([]);
});
