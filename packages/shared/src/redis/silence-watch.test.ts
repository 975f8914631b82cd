import { expect, test } from 'vitest';
import type { RedisClient } from './connect.ts';
import { SilenceWatch } from './silence-watch.ts';

function newMaster() {
  const state = { runId: 'one', replicas: 2, now: 100_000 };
  const server = () => [`run_id:${state.runId}`];
  const replication = () =>
    Array.from({ length: state.replicas }, (_, i) => `slave${i}:ip=10.0.0.${i},port=6379,state=online,offset=1,lag=0`);
  const info = async (section: string) => (section === 'server' ? server() : replication()).join('\r\n');
  const watch = new SilenceWatch({ info } as unknown as RedisClient, { now: () => state.now });
  return { state, watch };
}

test('a master that was silent for more than four seconds needs all its replicas, until ten seconds after', async () => {
  const { state, watch } = newMaster();
  await watch.look();
  expect(watch.replicas).toBe(0);
  state.now += 4_000;
  expect(watch.replicas).toBe(0);
  state.now += 1;
  expect(watch.replicas).toBe(2);
  // It goes on, and one of its replicas already follows another.
  state.replicas = 1;
  await watch.look();
  expect(watch.replicas).toBe(2);
  state.now += 3_000;
  await watch.look();
  state.now += 3_000;
  await watch.look();
  state.now += 3_999;
  expect(watch.replicas).toBe(2);
  await watch.look();
  state.now += 1;
  expect(watch.replicas).toBe(0);
});

test('another master, or the same one started anew, was not silent', async () => {
  const { state, watch } = newMaster();
  await watch.look();
  state.now += 60_000;
  expect(watch.replicas).toBe(2);
  state.runId = 'two';
  await watch.look();
  expect(watch.replicas).toBe(0);
});

test('of a master that never answered nothing is known', () => {
  const { watch } = newMaster();
  expect(watch.replicas).toBe(0);
});
