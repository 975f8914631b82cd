import { WorkQueue } from '@keyfleet/shared/work-queue';
import { type NatsConnection, NatsError } from 'nats';
import { expect, test } from 'vitest';
import { z } from 'zod';

const queue = new WorkQueue({ stream: 'S', subjects: 's.*', subjectOf: (item) => `s.${item}`, item: z.string() });

/** `manager`: what NATS answers to who manages its streams. */
async function publishTo(manager: () => Promise<unknown>): Promise<{ isPut: boolean; problems: string[] }> {
  const connection = { jetstreamManager: manager, jetstream: () => ({ publish: async () => {} }) };
  const notices = { connection: () => connection as unknown as NatsConnection, streamReplicas: 1 };
  const problems: string[] = [];
  const onProblem = (problem: unknown) => void problems.push((problem as Error).message);
  return { isPut: await queue.publish(notices, ['x'], { idOf: (item) => item, onProblem }), problems };
}

test('a server that never comes to an end holds up nobody who publishes for longer than seconds', async () => {
  const startedAt = performance.now();
  const { isPut, problems } = await publishTo(() => new Promise(() => {}));
  expect([isPut, problems]).toEqual([false, ['JetStream did not answer within 4000 ms']]);
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});

test('a stream with other settings is made anew, without a question that has answers without end', async () => {
  const calls: string[] = [];
  let hasOther = true;
  const streams = {
    add: async () => {
      calls.push('add');
      if (!hasOther) return;
      const error = new NatsError('stream name already in use', '400');
      throw Object.assign(error, { api_error: { code: 400, err_code: 10_058, description: '' } });
    },
    delete: async () => {
      calls.push('delete');
      hasOther = false;
    },
  };
  const { isPut, problems } = await publishTo(async () => ({ streams, consumers: { add: async () => {} } }));
  expect([isPut, problems, calls]).toEqual([true, [], ['add', 'delete', 'add']]);
});
