import { execa } from 'execa';
import { join } from 'node:path';
import { BenchError } from '../bench-error.ts';

const suites = ['parts', 'boundary', 'channel', 'session', 'telemetry', 'caches'] as const;

/**
 * `npm run bench -- micro [SUITE] [argument]`: each suite in a process of its own. Without a name, the parts of a
 * request.
 */
export async function micro([suite = 'parts', ...args]: readonly string[]): Promise<void> {
  if (!suites.some((name) => name === suite)) {
    throw new BenchError(`micro ${suite}: there are ${suites.join(', ')}.`);
  }
  const main = join(import.meta.dirname, `${suite}.ts`);
  const { exitCode } = await execa(process.execPath, [main, ...args], { stdio: 'inherit', reject: false });
  process.exitCode = exitCode ?? 1;
}
