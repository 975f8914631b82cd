// Loaded into each service by `node --import .../probe.ts?FOLDER`: says, when asked at FOLDER/PID.sock, how the process
// fared.
import { Session } from 'node:inspector/promises';
import { createServer } from 'node:net';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/** Since the last reset. */
export interface ProbeReading {
  /** Part of the time in which the event loop worked, 0 to 1. */
  readonly loop: number;
  /**
   * By how many milliseconds the loop was late, at the 99th percentile and at most; what is under 10 ms is not seen.
   */
  readonly delayP99: number;
  readonly delayLongest: number;
  readonly gc: { readonly count: number; readonly ms: number; readonly longest: number };
}

/** A shorter one would itself cost the processes that are measured. */
const RESOLUTION_MS = 10;
const NANOSECONDS = 1e6;

function startProbe(folder: string): void {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  let gc = { count: 0, ms: 0, longest: 0 };
  let loop = performance.eventLoopUtilization();
  const session = new Session();
  session.connect();
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      gc = { count: gc.count + 1, ms: gc.ms + duration, longest: Math.max(gc.longest, duration) };
    }
  }).observe({ entryTypes: ['gc'] });

  const late = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS);
  const commands: Readonly<Record<string, () => unknown>> = {
    reset() {
      delays.reset();
      gc = { count: 0, ms: 0, longest: 0 };
      loop = performance.eventLoopUtilization();
      return {};
    },
    read: (): ProbeReading => ({
      loop: performance.eventLoopUtilization(loop).utilization,
      delayP99: late(delays.percentile(99)),
      delayLongest: late(delays.max),
      gc,
    }),
    async 'start-profile'() {
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: 500 });
      await session.post('Profiler.start');
      return {};
    },
    'stop-profile': async () => (await session.post('Profiler.stop')).profile,
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (name) => {
      void Promise.resolve(commands[String(name)]?.()).then((answer) => socket.end(JSON.stringify(answer)));
    });
  });
  server.listen(`${folder}/${process.pid}.sock`).unref();
}

// A worker thread of the process loads this too, and has nothing to say.
if (isMainThread) startProbe(decodeURIComponent(new URL(import.meta.url).search.slice(1)));
