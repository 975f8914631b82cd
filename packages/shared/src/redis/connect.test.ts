import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { connectAgain, type RedisClient } from './connect.ts';

test('a client that ioredis gave up while it connected connects anew, and none that was closed or is disposed', () => {
  let connects = 0;
  const client = Object.assign(new EventEmitter(), {
    connect: () => {
      connects += 1;
      return Promise.reject(new Error('not yet'));
    },
  });
  const goingOn = connectAgain(client as unknown as RedisClient);
  for (const status of ['connecting', 'connect', 'ready', 'close', 'end']) client.emit(status);
  expect(connects).toBe(0);
  for (const status of ['connecting', 'end']) client.emit(status);
  expect(connects).toBe(1);
  goingOn[Symbol.dispose]();
  for (const status of ['connecting', 'end']) client.emit(status);
  expect(connects).toBe(1);
});
