import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BenchError } from '../bench-error.ts';
import { Generators, usualGenerators } from '../load/generators.ts';
import { measureGeneratorLimit } from '../measure/generator-limit.ts';
import { PreparedTarget } from '../measure/prepared-target.ts';
import { machine } from '../observe/machine.ts';
import { Probes } from '../observe/probes.ts';
import { assertCanKeep, usualPath, writeReport, writeResults } from '../report/results-file.ts';
import { heading } from '../report/table.ts';
import { Terminal } from '../report/terminal.ts';
import { pathOf } from '../options.ts';
import { openTargets } from '../targets/open-targets.ts';
import type { Target } from '../targets/target.ts';
import { parseTarget } from '../targets/target-spec.ts';
import { BudgetRun, SLICE_MS } from './budget-run.ts';
import { type Row, rowLines } from './row.ts';
import { atHalf, atRest, besideOthers, heavyOperations, makingKeys, manyKeys, overGrpc, stalls } from './sections.ts';

const WORKERS = 2;
const MOST_KEYS = 1_000_000;
const others = ['prototype', 'openbao', 'local-kms'];

interface BudgetOptions {
  readonly out: string | undefined;
  readonly keys: number;
}

/** `npm run bench -- budget [--keys N] [--out FILE]`: every row of the budget, in less than ten minutes. */
export async function budget(args: readonly string[]): Promise<void> {
  const { out, keys } = optionsOf(args);
  await using resources = new AsyncDisposableStack();
  const terminal = new Terminal(process.stdout);
  const facts = await machine();
  const folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'kfb-')));
  const probes = new Probes(folder.path);
  const generators = resources.use(new Generators(usualGenerators()));
  const generatorLimit = await measureGeneratorLimit(generators, 64);
  for (const line of heading(facts, generatorLimit)) terminal.print(line);
  const opened = await openWhatIsThere(probes, resources, terminal);
  const targets = opened.map((target) => resources.use(new PreparedTarget(target, (line) => terminal.status(line))));
  const run = new BudgetRun({ targets, generators, probes, observer: terminal });
  const rows = await allRows(run, opened[0]!, keys, terminal);
  const path = out ?? usualPath(facts.date);
  const table = rowLines(rows).join('\n');
  await writeFile(`${path}.md`, `${table}\n`);
  const results = {
    format: 'keyfleet-bench/1',
    machine: facts,
    versions: { node: process.version, openssl: process.versions.openssl },
    command: `npm run bench -- budget ${args.join(' ')}`.trim(),
    sliceMs: SLICE_MS,
    generatorLimit,
    points: run.points,
    searches: [],
    profiles: [],
  } as const;
  const files = [writeResults(path, results), writeReport(path, results), `${path}.md`];
  terminal.print(`\n${table}\n\nkept in ${files.join(', ')}`);
}

function optionsOf(args: readonly string[]): BudgetOptions {
  const { out: given, keys } = valuesOf(args);
  const out = given === undefined ? undefined : pathOf(given);
  if (out !== undefined) assertCanKeep(out);
  const count = Number(keys);
  if (Number.isInteger(count) && count >= 1 && count <= MOST_KEYS) return { out, keys: count };
  throw new BenchError(`--keys ${keys}: a number from 1 to ${MOST_KEYS} is wanted.`);
}

function valuesOf(args: readonly string[]) {
  try {
    const options = { keys: { type: 'string', default: '20000' }, out: { type: 'string' } } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new BenchError('budget takes --keys N and --out FILE.', { cause });
  }
}

/** Keyfleet's two edges first. An other server that is not installed has no rows. */
async function openWhatIsThere(probes: Probes, resources: AsyncDisposableStack, terminal: Terminal): Promise<Target[]> {
  const options = { workers: WORKERS, nodeArgs: probes.nodeArgs };
  const targets = await openTargets(['keyfleet', 'keyfleet-grpc'].map(parseTarget), options, resources);
  for (const name of others) {
    try {
      targets.push(...(await openTargets([parseTarget(name)], options, resources)));
    } catch (error) {
      if (!(error instanceof BenchError)) throw error;
      terminal.note(`no rows beside ${name}: ${error.message}`);
    }
  }
  return targets;
}

async function allRows(run: BudgetRun, { cluster }: Target, keys: number, terminal: Terminal): Promise<Row[]> {
  const ground = { run, cluster: cluster! };
  const sections = [
    atRest,
    besideOthers,
    makingKeys,
    heavyOperations,
    overGrpc,
    atHalf,
    (given: typeof ground) => manyKeys(given, keys),
  ];
  const rows: Row[] = [];
  for (const section of sections) {
    try {
      rows.push(...(await section(ground)));
    } catch (error) {
      // One section that fails must not cost the ten minutes of the others.
      if (!(error instanceof BenchError)) throw error;
      terminal.note(`${section.name}: ${error.message}`);
    }
  }
  return [...rows, stalls(run.points)];
}
