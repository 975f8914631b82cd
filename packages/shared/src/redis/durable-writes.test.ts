import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { RedisClient } from './connect.ts';
import { DurableWrites } from './durable-writes.ts';

test('a write waits for as many replicas as are required when it is made, also while others are under way', async () => {
  const waits: number[] = [];
  const pipeline = () => {
    const answers: [null, unknown][] = [];
    return {
      set: () => answers.push([null, 'OK']),
      wait: (replicas: number) => waits.push(replicas),
      async exec() {
        await turn();
        return [...answers, [null, 9]];
      },
    };
  };
  let replicas = 1;
  const writes = new DurableWrites({ pipeline } as unknown as RedisClient, () => ({ replicas }) as never);
  const made: Promise<unknown>[] = [];
  const write = (): void => void made.push(writes.write('k', (client) => client.set('k', 'v')));
  // One is always under way.
  for (const required of [1, 1, 2, 2, 1, 1]) {
    replicas = required;
    write();
    await turn();
    write();
  }
  await Promise.all(made);
  expect(made).toHaveLength(12);
  expect(waits[0]).toBe(1);
  expect(Math.max(...waits)).toBe(2);
  expect(waits.at(-1)).toBe(1);
});
