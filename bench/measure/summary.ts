import { Latencies } from '../histogram/latencies.ts';
import type { Point, Round } from './results.ts';

/** Least, middle and most of the rounds. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export interface PointSummary {
  readonly perSecond: Spread;
  readonly p50: Spread;
  readonly p99: Spread;
  readonly p999: Spread;
  /** Microseconds of CPU per request of all processes that are known; NaN when none is. */
  readonly cpu: Spread;
  /** The median of each process. */
  readonly cpuByProcess: Readonly<Record<string, number>>;
  readonly failures: Readonly<Record<string, number>>;
  readonly othersCores: number;
  /** Open loop: milliseconds by which the generator itself began requests late, at the 99th percentile; else NaN. */
  readonly lateness: number;
  /** Open loop: milliseconds for which half of the requests and more waited for a free connection; else NaN. */
  readonly wait: number;
  /** Of a mix: latencies by operation, of all rounds. */
  readonly operations: readonly { readonly name: string; readonly latencies: Latencies }[];
  readonly generatorBound: boolean;
}

/** Milliseconds: half of the requests waiting so long for a connection, the rate is more than the target carries. */
export const WAIT_MS = 5;
/** From this part of its time on, a generator's one thread is what limits the rate. */
const BUSY = 0.9;

export function summarize({ rounds }: Pick<Point, 'rounds'>): PointSummary {
  const latencies = rounds.map((round) => Latencies.decode(round.latencies));
  const quantile = (part: number) => spreadOf(latencies.map((one) => one.quantile(part)));
  const names = [...new Set(rounds.flatMap(({ processes }) => Object.keys(processes)))];
  const cpuOf = (name: string) => rounds.map((round) => cpuPerRequest(round, name));
  const failures: Record<string, number> = {};
  for (const round of rounds) {
    for (const [failure, count] of Object.entries(round.failures)) failures[failure] = (failures[failure] ?? 0) + count;
  }
  return {
    perSecond: spreadOf(rounds.map(({ requests, seconds }) => requests / seconds)),
    p50: quantile(0.5),
    p99: quantile(0.99),
    p999: quantile(0.999),
    cpu: spreadOf(
      rounds.map((round) =>
        names.length === 0 ? Number.NaN : names.reduce((sum, name) => sum + cpuPerRequest(round, name), 0),
      ),
    ),
    cpuByProcess: Object.fromEntries(names.map((name) => [name, spreadOf(cpuOf(name)).median])),
    failures,
    lateness: mergedOf(rounds.map(({ lateness }) => lateness)).quantile(0.99),
    wait: mergedOf(rounds.flatMap(({ waits = [] }) => waits)).quantile(0.5),
    operations: operationsOf(rounds),
    othersCores: Math.max(...rounds.map(({ othersCores }) => othersCores)),
    generatorBound: rounds.some(isGeneratorBound),
  };
}

function mergedOf(encoded: readonly string[]): Latencies {
  return Latencies.merged(
    encoded.map((text) => Latencies.decode(text)),
    2,
  );
}

function operationsOf(rounds: readonly Round[]): PointSummary['operations'] {
  return Object.keys(rounds[0]?.byOperation ?? {}).map((name) => ({
    name,
    latencies: Latencies.merged(rounds.map(({ byOperation }) => Latencies.decode(byOperation[name]!))),
  }));
}

export function isGeneratorBound({ generators }: Pick<Round, 'generators'>): boolean {
  return generators.some(({ cpu, loop }) => cpu >= BUSY || loop >= BUSY);
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = Number.isInteger(middle) ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[Math.floor(middle)]!;
  return { min: sorted[0] ?? Number.NaN, median, max: sorted.at(-1) ?? Number.NaN };
}

/** Microseconds. */
export function cpuPerRequest({ processes, requests }: Round, name: string): number {
  return (processes[name]?.cpu ?? 0) / Math.max(1, requests);
}
