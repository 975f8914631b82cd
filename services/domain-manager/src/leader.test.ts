import { monotonicClock } from '@keyfleet/shared/clock';
import { createLog, type Log } from '@keyfleet/shared/log';
import { TestClock } from '@keyfleet/test-support/domain';
import { expect, test, vi } from 'vitest';
import { DomainManagerEvents } from './events.ts';
import { ENDLESS_MS, LEAD_ANYWAY_MS, Leader, STAND_BACK_MS } from './leader.ts';

const events = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));
const fit = { unfit: async () => undefined, hindered: () => undefined, monotonicClock };

test('rests between rounds however often it is woken', async () => {
  const lease = { holdLease: async () => true, releaseLease: async () => {}, findLeaseHolder: async () => undefined };
  const rounds: number[] = [];
  const round = async () => void rounds.push(performance.now());
  await using leader = new Leader({ lease, replica: 'one', ...fit, round, events });
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
  await using leader = new Leader({ lease, replica: 'one', ...fit, round: work, events });
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
    await using leader = new Leader({ lease, replica: 'one', ...fit, unfit, round, events: told });
    await expect
      .poll(() => {
        leader.wake();
        return reasons.length + (done.at(-1) === 'round' ? 0 : 1);
      })
      .toBe(0);
  }
  const led = ['held', 'this replica leads now', 'round'];
  const stopped = ['this replica cannot lead', 'released', 'this replica leads no longer'];
  expect(done.slice(0, 10)).toEqual(['this replica cannot lead', ...led, ...stopped, ...led]);
});

test('one that is hindered lets another lead, and leads all the same while nobody else does', async () => {
  const clock = new TestClock();
  let holder = 'nobody';
  let asked = 0;
  let rounds = 0;
  const lease = {
    holdLease: async (replica: string) => {
      asked++;
      if (holder === 'nobody') holder = replica;
      return holder === replica;
    },
    releaseLease: async () => void (holder = 'nobody'),
    findLeaseHolder: async () => undefined,
  };
  let why: string | undefined = 'its clock is wrong';
  const hindered = () => why;
  const round = async () => void rounds++;
  await using leader = new Leader({ lease, replica: 'one', ...fit, hindered, monotonicClock: clock, round, events });
  const until = (is: () => boolean) => expect.poll(() => (leader.wake(), is())).toBe(true);

  await until(() => rounds === 1 && holder === 'nobody');
  clock.advance(STAND_BACK_MS);
  await until(() => rounds > 3 && leader.leads);
  clock.advance(LEAD_ANYWAY_MS);
  await until(() => holder === 'nobody');
  const before = { asked, rounds };
  holder = 'another';
  clock.advance(STAND_BACK_MS);
  await until(() => asked > before.asked);
  expect({ holder, rounds, leads: leader.leads }).toEqual({ holder: 'another', rounds: before.rounds, leads: false });

  why = undefined;
  holder = 'nobody';
  clock.advance(LEAD_ANYWAY_MS);
  await until(() => rounds > before.rounds + 3);
  expect(leader.leads).toBe(true);
});

test('one whose round does not end says so, and does not pass for the leader', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const said: string[] = [];
    const log = { info() {}, error: (_: unknown, message: string) => void said.push(message) };
    const told = new DomainManagerEvents(log as object as Log);
    const lease = { holdLease: async () => true, releaseLease: async () => {}, findLeaseHolder: async () => undefined };
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const round = async () => {
      begun.resolve();
      await ended.promise;
    };
    await using leader = new Leader({ lease, replica: 'one', ...fit, round, events: told });
    await begun.promise;
    vi.advanceTimersByTime(ENDLESS_MS - 1);
    expect([said, leader.leads]).toEqual([[], true]);
    vi.advanceTimersByTime(1);
    expect([said, leader.leads]).toEqual([['a round does not end; restart this replica'], false]);
    ended.resolve();
    await vi.waitFor(() => expect(leader.leads).toBe(true));
  } finally {
    vi.useRealTimers();
  }
});
