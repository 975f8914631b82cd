import { createLog } from '@keyfleet/shared/log';
import { expect, test } from 'vitest';
import { DomainManagerEvents } from './events.ts';
import { Leader } from './leader.ts';

const events = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));

test('rests between rounds however often it is woken', async () => {
  const lease = { holdLease: async () => true, releaseLease: async () => {}, findLeaseHolder: async () => undefined };
  const rounds: number[] = [];
  const round = async () => void rounds.push(performance.now());
  await using leader = new Leader({ lease, replica: 'one', round, events });
  await expect
    .poll(
      () => {
        leader.wake();
        return rounds.length;
      },
      { interval: 1 },
    )
    .toBeGreaterThan(3);
  const pauses = rounds.slice(1).map((at, i) => at - rounds[i]!);
  // A timer may count from up to a millisecond before it was set.
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(99);
});

test.each([
  ['leads and finishes its rounds', true, () => Promise.resolve(), true],
  ['does not get the lease', false, () => Promise.resolve(), false],
  ['leads and finishes no round', true, () => Promise.reject(new Error('Redis is away')), false],
])('what a replica saw in its rounds counts only while it leads: one that %s', async (_, holds, work, leads) => {
  let asked = 0;
  const lease = {
    holdLease: async () => {
      asked++;
      return holds;
    },
    releaseLease: async () => {},
    findLeaseHolder: async () => undefined,
  };
  await using leader = new Leader({ lease, replica: 'one', round: work, events });
  expect(leader.leads).toBe(false);
  // Woken after each, so that nothing waits for time to pass.
  await expect
    .poll(() => {
      leader.wake();
      return asked;
    })
    .toBeGreaterThan(1);
  expect(leader.leads).toBe(leads);
});
