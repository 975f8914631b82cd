import { execa } from 'execa';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..');

export interface Step {
  readonly name: string;
  /** Arguments of Node, run in the root. */
  readonly args: readonly string[];
}

export interface Outcome {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
}

/** Runs a step. `quiet`: its output is shown only when it fails. */
export async function runStep({ name, args }: Step, output: 'quiet' | 'shown'): Promise<Outcome> {
  const startedAt = performance.now();
  const result = await execa(process.execPath, args, {
    cwd: root,
    reject: false,
    stdin: 'ignore',
    ...(output === 'shown' ? { stdout: 'inherit', stderr: 'inherit' } : { all: true }),
  });
  const outcome = { name, ok: !result.failed, seconds: (performance.now() - startedAt) / 1000 };
  if (!outcome.ok && result.all !== undefined) process.stdout.write(`\n${name}:\n${String(result.all)}\n`);
  process.stdout.write(`${line(outcome)}\n`);
  return outcome;
}

export function line({ name, ok, seconds }: Outcome): string {
  return `${ok ? 'ok    ' : 'FAILED'}  ${name.padEnd(34)}${seconds.toFixed(1).padStart(7)} s`;
}
