import { watchPeakMemory } from '@keyfleet/test-support/peak-memory';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');

export interface CommandUse {
  readonly seconds: number;
  readonly exitCode: number;
  /** The most that was resident at once, in megabytes. */
  readonly memory: number;
}

/** What a command line of keyfleet takes, in a process of its own. What it notes goes to stderr. */
export async function measureCommand(...args: readonly string[]): Promise<CommandUse> {
  const begun = performance.now();
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  using peak = watchPeakMemory(child.pid!);
  const [exitCode] = (await once(child, 'exit')) as [number];
  return { seconds: (performance.now() - begun) / 1000, exitCode, memory: peak.bytes / 1e6 };
}
