import { parseArgs } from 'node:util';
import { BenchError } from './bench-error.ts';
import { eventNames, type EventName } from './events/catalog.ts';
import { usualGenerators } from './load/generators.ts';
import type { Choice } from './load/job.ts';
import { getScenario } from './scenarios/catalog.ts';
import { parseTarget, type TargetSpec } from './targets/target-spec.ts';

/** A rate in requests per second, or a part (0 to 1) of the highest that the closed loops of the same run gave. */
export type Rate = { readonly asked: string } & ({ readonly perSecond: number } | { readonly part: number });

export interface Options {
  readonly targets: readonly TargetSpec[];
  readonly scenarios: readonly string[];
  readonly mix?: string | undefined;
  readonly connections: readonly number[];
  readonly rates: readonly Rate[];
  /** Milliseconds that p99 must stay under. */
  readonly search?: number | undefined;
  /** Milliseconds that an event loop may be held up before the run counts as failed. */
  readonly maxStall?: number | undefined;
  readonly seconds: number;
  readonly warmup: number;
  readonly rounds: number;
  readonly keys: readonly number[];
  readonly choice: Choice;
  readonly payload: readonly number[];
  readonly context: readonly number[];
  readonly during: readonly EventName[];
  readonly workers: number;
  readonly generators: number;
  readonly cpuProf: boolean;
  readonly out?: string | undefined;
}

const MAX = {
  connections: 4096,
  seconds: 3600,
  rounds: 100,
  keys: 1_000_000,
  payload: 4096,
  context: 8,
  processes: 64,
};

const quick = {
  scenario: 'encrypt,decrypt,generate-data-key,sign-p256,create-key',
  connections: '1,16',
  seconds: '2',
  warmup: '1',
  rate: '50%',
};

const text = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;
const optionTypes = {
  target: { type: 'string', multiple: true },
  prototype: flag,
  scenario: text,
  mix: text,
  connections: text,
  rate: text,
  search: text,
  'max-stall': text,
  seconds: text,
  warmup: text,
  rounds: text,
  keys: text,
  use: text,
  payload: text,
  context: text,
  during: text,
  workers: text,
  generators: text,
  'cpu-prof': flag,
  out: text,
  quick: flag,
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Throws BenchError with one line for whatever is wrong. */
export function parseOptions(args: readonly string[]): Options | 'help' {
  const values = read(args);
  if (values.help) return 'help';
  const given = { ...(values.quick ? quick : {}), ...values };
  const targets = (values.target ?? ['keyfleet']).map(parseTarget);
  if (values.prototype) targets.push(parseTarget('prototype'));
  const names = targets.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new BenchError(`two targets are named '${twice}': name them with NAME=...`);
  const numbers = (name: keyof typeof optionTypes, usual: string, max: number, min = 1) =>
    numbersOf(name, String(given[name] ?? usual), min, max);
  const number = (name: keyof typeof optionTypes, usual: string, max: number, min = 1) =>
    numbers(name, usual, max, min)[0]!;
  return {
    targets,
    scenarios: scenariosOf(given.scenario) ?? (given.mix === undefined ? usualScenarios : []),
    mix: given.mix,
    connections: numbers('connections', '1,16,64', MAX.connections),
    rates: given.rate?.split(',').map(rateOf) ?? [],
    search: given.search === undefined ? undefined : number('search', '', 60_000, 0.1),
    maxStall: given['max-stall'] === undefined ? undefined : number('max-stall', '', 60_000),
    seconds: number('seconds', '5', MAX.seconds),
    warmup: number('warmup', '1.5', MAX.seconds, 0),
    rounds: number('rounds', '1', MAX.rounds),
    keys: numbers('keys', '1', MAX.keys),
    choice: choiceOf(given.use ?? 'turn'),
    payload: numbers('payload', '32', MAX.payload),
    context: numbers('context', '1', MAX.context, 0),
    during: eventsOf(given.during, targets),
    workers: number('workers', '2', MAX.processes),
    generators: number('generators', String(usualGenerators()), MAX.processes),
    cpuProf: values['cpu-prof'],
    out: given.out === undefined ? undefined : pathOf(given.out),
  };
}

/** Where the files go, without an extension: whoever names one of them means all. */
export function pathOf(out: string): string {
  return out.replace(/\.(?:json|html|md)$/, '');
}

const usualScenarios = ['encrypt', 'decrypt', 'generate-data-key', 'create-key', 'create-key-rsa-2048'];

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: optionTypes }).values;
  } catch (cause) {
    throw new BenchError(`${(cause as Error).message.split('. ')[0]}. See --help.`, { cause });
  }
}

/** `1,16,64`; `1k` is a thousand, `1M` a million. */
function numbersOf(name: string, list: string, min: number, max: number): number[] {
  const found = list.split(',').map(numberOf);
  if (found.every((number) => number >= min && number <= max)) return found;
  throw new BenchError(`--${name} ${list}: numbers from ${min} to ${max} are wanted.`);
}

function numberOf(written: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([kM])?$/.exec(written) ?? [];
  return Number(digits) * (unit === 'M' ? 1_000_000 : unit === 'k' ? 1000 : 1);
}

function rateOf(written: string): Rate {
  const part = /^(\d+(?:\.\d+)?)%$/.exec(written)?.[1];
  const number = part === undefined ? numberOf(written) : Number(part) / 100;
  if (number > 0) return { asked: written, ...(part === undefined ? { perSecond: number } : { part: number }) };
  throw new BenchError(
    `--rate ${written}: requests per second are wanted, such as 500 or 2k, or a part of the peak, such as 50%.`,
  );
}

function choiceOf(written: string): Choice {
  if (written === 'turn' || written === 'uniform') return { kind: written };
  const exponent = /^zipf(?::(\d+(?:\.\d+)?))?$/.exec(written);
  if (exponent) return { kind: 'zipf', exponent: Number(exponent[1] ?? 1) };
  throw new BenchError(`--use ${written}: there are turn, uniform, zipf and zipf:EXPONENT.`);
}

/** Each is looked up, so that a wrong name is told before anything is started. */
function scenariosOf(list: string | undefined): string[] | undefined {
  return list?.split(',').map((name) => getScenario(name).name);
}

/** Only to a cluster that is started for the run can something be done. */
function eventsOf(list: string | undefined, targets: readonly TargetSpec[]): EventName[] {
  if (list === undefined) return [];
  const events = list.split(',').map(eventOf);
  if (targets.some(({ kind }) => kind === 'keyfleet' || kind === 'keyfleet-grpc')) return events;
  throw new BenchError(
    `--during ${list}: that happens to a cluster that is started for it alone, as --target keyfleet.`,
  );
}

function eventOf(name: string): EventName {
  const found = eventNames.find((one) => one === name);
  if (found) return found;
  throw new BenchError(`--during ${name}: there are ${eventNames.join(', ')}.`);
}
