import { createLog, type Log } from '@keyfleet/shared/log';
import { expect, test } from 'vitest';
import { DomainManagerEvents } from './events.ts';
import { Leader } from './leader.ts';

const events = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));

test('rests between rounds however often it is woken', async () => {
  const lease = { holdLease: async () => true, releaseLease: async () => {}, findLeaseHolder: async () => undefined };
  const rounds: number[] = [];
  const round = async () => void rounds.push(performance.now());
  await using leader = new Leader({ lease, replica: 'one', unfit: async () => undefined, round, events });
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
  await using leader = new Leader({ lease, replica: 'one', unfit: async () => undefined, round: work, events });
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

test('one that cannot lead neither takes the lease nor keeps it, says so once, and leads when it can again', async () => {
  const done: string[] = [];
  const lease = {
    holdLease: async () => done.push('held') > 0,
    releaseLease: async () => void done.push('released'),
    findLeaseHolder: async () => undefined,
  };
  const log = {
    info: (_: object, text: string) => done.push(text),
    error: (_: object, text: string) => done.push(text),
  };
  const reasons = ['removed', undefined, 'removed', 'removed', undefined];
  const unfit = async () => reasons.shift();
  const round = async () => void done.push('round');
  const told = new DomainManagerEvents(log as object as Log);
  {
    await using leader = new Leader({ lease, replica: 'one', unfit, round, events: told });
    await expect
      .poll(() => {
        leader.wake();
        return reasons.length + (done.at(-1) === 'round' ? 0 : 1);
      })
      .toBe(0);
  }
  const led = ['held', 'this replica leads now', 'round'];
  const stopped = ['this replica cannot lead', 'released', 'another replica leads'];
  expect(done.slice(0, 10)).toEqual(['this replica cannot lead', ...led, ...stopped, ...led]);
});
