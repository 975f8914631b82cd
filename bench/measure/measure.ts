import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BenchError } from '../bench-error.ts';
import { Generators } from '../load/generators.ts';
import { machine } from '../observe/machine.ts';
import { Probes } from '../observe/probes.ts';
import { type Options, parseOptions } from '../options.ts';
import { assertCanKeep, usualPath, writeReport, writeResults } from '../report/results-file.ts';
import { heading } from '../report/table.ts';
import { Terminal } from '../report/terminal.ts';
import { openTargets } from '../targets/open-targets.ts';
import { BenchRun } from './bench-run.ts';
import { measureGeneratorLimit } from './generator-limit.ts';
import { worksOf } from './plan.ts';
import { PreparedTarget } from './prepared-target.ts';
import type { Results } from './results.ts';
import { stallsOf } from './stalls.ts';

/** Slices of the measured time, for latency over time: at most so many, none shorter than 100 ms. */
const SLICES = 120;
const SHORTEST_SLICE_MS = 100;
/** `--out -`: as the last line that is printed, for a log that is all that stays of a container. */
const TO_LOG = '-';
/** Until this process has heard of what its generators heard of. */
const INTERRUPTED_MS = 200;

/** `npm run bench -- [options]`. */
export async function measure(args: readonly string[]): Promise<void> {
  const options = parseOptions(args);
  if (options === 'help') {
    const { help } = await import('../help.ts');
    process.stdout.write(help());
    return;
  }
  // What is wrong with the mix, or with where the run is to be kept, is told before anything is started.
  worksOf(options);
  if (options.out !== undefined && options.out !== TO_LOG) assertCanKeep(options.out);
  const terminal = new Terminal(process.stdout);
  const results = await measureAll(options, args, terminal);
  keep(results, options.out ?? usualPath(results.machine.date), terminal);
  const [longest] = stallsOf(results.points);
  if (options.maxStall !== undefined && longest !== undefined && longest.ms > options.maxStall) {
    const { process: name, scenario, target, ms } = longest;
    throw new BenchError(
      `${name} of ${target} was held up ${ms.toFixed(0)} ms in ${scenario}: --max-stall ${options.maxStall}.`,
    );
  }
}

function keep(results: Results, path: string, terminal: Terminal): void {
  if (path === TO_LOG) terminal.print(JSON.stringify(results));
  else terminal.print(`\nkept in ${writeResults(path, results)} and ${writeReport(path, results)}`);
}

/** Ctrl-C or SIGTERM ends the run, stops what was started, and keeps what was measured so far. */
async function untilInterrupted(
  running: Promise<void>,
  isWorthKeeping: () => boolean,
  terminal: Terminal,
): Promise<void> {
  const signals = [once(process, 'SIGINT'), once(process, 'SIGTERM')];
  const interrupted = Promise.race(signals).then(() => 'interrupted' as const);
  // The generators hear of Ctrl-C too, so that the run fails then.
  const outcome = running.catch(async (error: unknown) => {
    const first = await Promise.race([interrupted, delay(INTERRUPTED_MS, 'failed' as const)]);
    if (first === 'failed') throw error;
    return first;
  });
  if ((await Promise.race([outcome, interrupted])) !== 'interrupted') return;
  if (!isWorthKeeping()) throw new BenchError('interrupted before anything was measured.');
  terminal.print('interrupted: what was measured so far is kept');
}

async function measureAll(options: Options, args: readonly string[], terminal: Terminal): Promise<Results> {
  await using resources = new AsyncDisposableStack();
  const facts = await machine();
  const folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'kfb-')));
  const probes = new Probes(folder.path);
  const generators = resources.use(new Generators(options.generators));
  const generatorLimit = await measureGeneratorLimit(generators, Math.max(...options.connections));
  for (const line of heading(facts, generatorLimit)) terminal.print(line);
  terminal.status('starting what is to be started');
  const opened = await openTargets(options.targets, { workers: options.workers, nodeArgs: probes.nodeArgs }, resources);
  const targets = opened.map((target) => resources.use(new PreparedTarget(target, (line) => terminal.status(line))));
  const sliceMs = Math.max(SHORTEST_SLICE_MS, (options.seconds * 1000) / SLICES);
  const run = new BenchRun({ options, targets, generators, probes, sliceMs, observer: terminal });
  await untilInterrupted(run.run(), () => run.points.length > 0, terminal);
  return {
    format: 'keyfleet-bench/1',
    machine: facts,
    versions: { node: process.version, openssl: process.versions.openssl },
    command: `npm run bench -- ${args.join(' ')}`,
    sliceMs,
    generatorLimit,
    points: run.points,
    searches: run.searches,
    profiles: run.profiles,
  };
}
