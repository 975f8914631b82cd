import { readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 50;

export interface PeakMemory extends Disposable {
  /** The most that was resident at once until the last look, which goes on until the process ends. */
  readonly bytes: number;
}

/** Source: proc_pid_status(5), VmHWM. */
export function watchPeakMemory(pid: number): PeakMemory {
  let bytes = 0;
  const timer = setInterval(() => {
    try {
      const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      if (kilobytes !== undefined) bytes = Number(kilobytes) * 1024;
    } catch {
      clearInterval(timer);
    }
  }, LOOK_EVERY_MS);
  return {
    get bytes() {
      return bytes;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
