import { createLog } from '@keyfleet/shared/log';
import { expect, test } from 'vitest';
import { DomainManagerEvents } from './events.ts';
import { Leader } from './leader.ts';

const events = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));

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
