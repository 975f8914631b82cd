import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Latencies } from '../histogram/latencies.ts';
import type { Connection } from '../wire/endpoint.ts';
import { runClosedLoop } from './closed-loop.ts';
import { OpenLoopRun } from './open-loop.ts';
import { Recorder } from './recorder.ts';
import { Schedule } from './schedule.ts';

const ANSWER_MS = 1;
const STALL_AFTER_MS = 300;
const STALL_MS = 400;
const MEASURE_MS = 1200;
const CONNECTIONS = 4;

const requests = { next: () => ({ operation: 'GET', request: undefined }) };

// The loops keep time by timers and `performance`; here it passes as the test says, however busy the machine is.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** To a server that answers at once, except that there is one time in which it answers nothing. */
function connectToStallingServer(begin: number): Connection<unknown> {
  return {
    send: () =>
      new Promise((resolve) => {
        const stallEnds = begin + STALL_AFTER_MS + STALL_MS - performance.now();
        const answersIn = stallEnds > 0 && stallEnds <= STALL_MS ? stallEnds : ANSWER_MS;
        setTimeout(() => resolve({ status: 200, body: Buffer.alloc(0) }), answersIn);
      }),
    [Symbol.dispose]() {},
  };
}

async function loadWhileStalling(
  kind: 'closed' | 'open',
): Promise<{ latencies: Latencies; waits: Latencies; requests: number }> {
  const begin = performance.now();
  const limits = { until: begin + MEASURE_MS, giveUpAt: begin + 10 * MEASURE_MS };
  const connections = Array.from({ length: CONNECTIONS }, () => connectToStallingServer(begin));
  const recorder = new Recorder({ pools: [], measureMs: MEASURE_MS, sliceMs: 100 }, begin);
  const schedule = new Schedule(begin, 200, { first: 0, step: 1 });
  const run =
    kind === 'closed'
      ? runClosedLoop(connections, requests, recorder, limits)
      : new OpenLoopRun(connections, { requests, recorder, schedule, limits }).run();
  // Not until no timer is left: a gRPC client that another file of this process closed too early looks for its server
  // for ever, and does so in this time as well.
  await vi.advanceTimersByTimeAsync(2 * MEASURE_MS);
  await run;
  const result = recorder.result({ cpu: 0, loop: 0 });
  const [latencies, waits] = [result.latencies, result.waits!].map((text) => Latencies.decode(text));
  return { latencies: latencies!, waits: waits!, requests: result.requests };
}

test('a server that stalls shows in the tail of the open loop: what would have arrived meanwhile waited too', async () => {
  const { latencies, waits, requests: answered } = await loadWhileStalling('open');
  // Everything that was intended is there, and a third of the time was a stall: a tenth waited three quarters of it or
  // longer.
  expect(answered).toBe(240);
  expect(latencies.quantile(0.95)).toBeGreaterThan(STALL_MS / 2);
  expect(latencies.quantile(0.99)).toBeGreaterThan(STALL_MS * 0.75);
  // Nearly all of it was for a connection, but not for half of the requests: the server keeps up.
  expect(waits.count).toBe(240);
  expect(waits.longest).toBeGreaterThan(STALL_MS * 0.75);
  expect(waits.quantile(0.5)).toBeLessThan(1);
});

test('the closed loop hides the same stall, which is why there is an open one', async () => {
  const { latencies } = await loadWhileStalling('closed');
  expect(latencies.longest).toBeGreaterThan(STALL_MS * 0.75);
  expect(latencies.quantile(0.95)).toBeLessThan(STALL_MS / 2);
});
