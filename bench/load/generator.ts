// One process of the load generator: takes LoadShares from its parent and answers each with its measurements.
import { setTimeout as delay } from 'node:timers/promises';
import { transportOf } from '../wire/transport.ts';
import { runClosedLoop } from './closed-loop.ts';
import type { GeneratorMessage, LoadResult, LoadShare } from './job.ts';
import { OpenLoopRun } from './open-loop.ts';
import { Recorder } from './recorder.ts';
import { newRequests } from './requests.ts';
import { Schedule } from './schedule.ts';

const PROGRESS_MS = 250;
/** For answers still on their way when the measured time ends. */
const DRAIN_MS = 10_000;

function say(message: GeneratorMessage): void {
  process.send?.(message);
}

async function run(share: LoadShare): Promise<LoadResult> {
  const begin = share.beginAt - performance.timeOrigin;
  const from = begin + share.warmupMs;
  const until = from + share.measureMs;
  const limits = { until, giveUpAt: until + DRAIN_MS };
  const transport = transportOf(share.endpoint);
  const requests = newRequests(share, transport, Math.random);
  const recorder = new Recorder(share, from);
  const connections = Array.from({ length: share.loop.connections }, () => transport.connect());
  const progress = setInterval(() => say({ kind: 'progress', requests: recorder.done }), PROGRESS_MS);
  const used = measureUse(from, until);
  try {
    await untilTime(begin);
    if (share.loop.kind === 'closed') await runClosedLoop(connections, requests, recorder, limits);
    else {
      const schedule = new Schedule(begin, share.loop.perSecond, share.arrivals);
      await new OpenLoopRun(connections, { requests, recorder, schedule, limits }).run();
    }
    return recorder.result(await used);
  } finally {
    clearInterval(progress);
    for (const connection of connections) connection[Symbol.dispose]();
  }
}

/** CPU and event loop of this process from one time to another. */
async function measureUse(from: number, until: number): Promise<{ cpu: number; loop: number }> {
  await untilTime(from);
  const [cpu, loop, at] = [process.cpuUsage(), performance.eventLoopUtilization(), performance.now()];
  await untilTime(until);
  const { user, system } = process.cpuUsage(cpu);
  return {
    cpu: (user + system) / 1000 / (performance.now() - at),
    loop: performance.eventLoopUtilization(loop).utilization,
  };
}

async function untilTime(time: number): Promise<void> {
  await delay(Math.max(0, time - performance.now()));
}

process.on('message', (share: LoadShare) => {
  run(share).then(
    (result) => say({ kind: 'result', result }),
    (error: unknown) => say({ kind: 'problem', message: String((error as Error).stack ?? error) }),
  );
});
process.on('disconnect', () => process.exit());
