import { execa } from 'execa';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { join } from 'node:path';
import type { Measurement } from './measure.ts';

/** What a number means nothing without. */
export async function machine() {
  const git = await execa('git', ['rev-parse', '--short', 'HEAD'], { cwd: import.meta.dirname, reject: false });
  return {
    date: new Date().toISOString(),
    commit: git.failed ? 'unknown' : git.stdout,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    kernel: release(),
    node: process.version,
  };
}

/** Prints each measurement as it comes, and keeps all of them in bench/results. */
export class Report {
  readonly #machine: Awaited<ReturnType<typeof machine>>;
  readonly #rows: object[] = [];

  constructor(facts: Awaited<ReturnType<typeof machine>>) {
    this.#machine = facts;
    const { commit, cores, cpu, kernel, node } = facts;
    print(`commit ${commit}, ${cores} x ${cpu}, Linux ${kernel}, Node ${node}`);
    print('load generator on the same machine; closed loop; cpu is microseconds per request of each process\n');
  }

  add(scenario: string, connections: number, measured: Measurement, floor?: Measurement): void {
    print(row(scenario, connections, measured));
    if (floor) {
      print(row('  bare prototype', connections, floor));
      print(`  ratio ${((100 * perSecond(measured)) / perSecond(floor)).toFixed(0)} %`);
    }
    this.#rows.push({ scenario, connections, measured, floor });
  }

  write(): void {
    const directory = join(import.meta.dirname, 'results');
    mkdirSync(directory, { recursive: true });
    const file = join(directory, `${this.#machine.date.replaceAll(':', '-')}.json`);
    writeFileSync(file, JSON.stringify({ ...this.#machine, rows: this.#rows }, null, 2));
    print(`\nkept in ${file}`);
  }
}

function perSecond({ requests, seconds }: Measurement): number {
  return requests / seconds;
}

function row(scenario: string, connections: number, measured: Measurement): string {
  const cpu = Object.entries(measured.cpu).map(([name, microseconds]) => `${name} ${microseconds.toFixed(0)}`);
  return [
    scenario.padEnd(22),
    `${connections}`.padStart(4),
    `${perSecond(measured).toFixed(0)}/s`.padStart(9),
    `p50 ${measured.p50.toFixed(2)} ms`.padStart(13),
    `p99 ${measured.p99.toFixed(2)} ms`.padStart(14),
    `  cpu ${cpu.join(', ')}`,
  ].join(' ');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
