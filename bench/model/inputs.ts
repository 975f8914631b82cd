import type { Point, Results } from '../measure/results.ts';
import { summarize } from '../measure/summary.ts';
import { BenchError } from '../bench-error.ts';

/** Figures of a run, and of the code. CPU in microseconds. */
export interface Inputs {
  /** Of one Encrypt, in a batch as full as the run had it. */
  readonly encrypt: Costs;
  /** Of one that comes alone: with the fewest connections of the run. */
  readonly encryptAlone: Costs;
  readonly createKey: Costs;
  /** Of one stream between a frontend and a worker, at both ends together, when it is opened. */
  readonly streamOpening: number;
  /** Of one notice, at each process that hears it. */
  readonly notice: number;
}

/** Of one call; of several frontends or workers together. */
export interface Costs {
  readonly frontend: number;
  readonly workers: number;
  readonly redis: number;
  readonly nats: number;
  /** The domain-manager. */
  readonly rest: number;
  readonly generator: number;
}

/**
 * `npm run bench -- micro session`, "a stream opened", both ends: 10.0 ms of CPU on a busy machine with two cores,
 * 2026-11-26.
 */
const STREAM_OPENING = 10_000;
/**
 * Not measured: a notice is a small message to take and one look-up, so that it costs less than an Encrypt's JSON and
 * frame do.
 */
const NOTICE = 20;

/** From a run of `--scenario encrypt,create-key`: of each, the closed loop with the most connections. */
export function inputsOf(results: Results): Inputs {
  return {
    encrypt: costsOf(fullest(results, 'encrypt')),
    encryptAlone: costsOf(closedLoops(results, 'encrypt').at(-1)!),
    createKey: costsOf(fullest(results, 'create-key')),
    streamOpening: STREAM_OPENING,
    notice: NOTICE,
  };
}

/** The closed loop with the most connections. Throws BenchError when there is none. */
export function fullest(results: Pick<Results, 'points'>, scenario: string): Point {
  const [found] = closedLoops(results, scenario);
  if (found) return found;
  const run = 'npm run bench -- --scenario encrypt,create-key --connections 1,64 --rounds 3 --out FILE';
  throw new BenchError(`the run has no ${scenario} of a cluster that it started. Make one: ${run}`);
}

/** Of a cluster that the run started, the most connections first. */
export function closedLoops({ points }: Pick<Results, 'points'>, scenario: string): Point[] {
  return points
    .filter((point) => point.scenario === scenario && point.loop.kind === 'closed' && point.during === undefined)
    .filter(({ rounds }) => rounds.some(({ processes }) => 'frontend' in processes && 'redis' in processes))
    .toSorted((a, b) => b.loop.connections - a.loop.connections);
}

function costsOf(point: Point): Costs {
  const { cpuByProcess } = summarize(point);
  const sum = (isOne: (name: string) => boolean) =>
    Object.entries(cpuByProcess)
      .filter(([name]) => isOne(name))
      .reduce((total, [, cpu]) => total + cpu, 0);
  const round = point.rounds[0]!;
  const generator = round.generators.reduce((total, { cpu }) => total + cpu, 0);
  return {
    frontend: sum((name) => name.startsWith('frontend')),
    workers: sum((name) => name.startsWith('hsm-worker')),
    redis: sum((name) => name === 'redis'),
    nats: sum((name) => name === 'nats'),
    rest: sum((name) => name.startsWith('domain-manager')),
    generator: (generator * 1e6) / (round.requests / round.seconds),
  };
}

/** The number of frontends that served the point. */
export function frontendsOf({ rounds }: Point): number {
  return Object.keys(rounds[0]!.processes).filter((name) => name.startsWith('frontend')).length;
}
