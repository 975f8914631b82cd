import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { connectAgain, connectRedis, type RedisClient, RedisConfig } from './connect.ts';

test('a client that ioredis gave up on while connecting connects again, and none that was closed or is disposed', () => {
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

test('problems that come in turn are told once each, until the connection works again', async () => {
  const said: string[] = [];
  const onProblem = ({ message }: Error): void => void said.push(message);
  await using client = connectRedis(RedisConfig.parse({ url: 'redis://127.0.0.1:1' }), { onProblem });
  // As from a Redis that takes connections and answers nothing.
  for (const message of ['Command timed out', 'Socket timeout', 'Command timed out', 'Socket timeout']) {
    client.emit('error', new Error(message));
  }
  expect(said).toEqual(['Command timed out', 'Socket timeout']);
  client.emit('ready');
  client.emit('error', new Error('Socket timeout'));
  expect(said).toEqual(['Command timed out', 'Socket timeout', 'Socket timeout']);
});
