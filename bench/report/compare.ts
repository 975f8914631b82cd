import { loopName, type Point, type Results } from '../measure/results.ts';
import { isGeneratorBound, type Spread, summarize } from '../measure/summary.ts';

export interface Change {
  /** What was measured: scenario, target, load. */
  readonly what: string;
  readonly metric: string;
  readonly before: Spread;
  readonly after: Spread;
  /** (after - before) / before, of the medians. */
  readonly by: number;
  readonly verdict: 'better' | 'worse' | 'within the noise';
}

export interface Comparison {
  readonly changes: readonly Change[];
  /** Reasons to trust the figures less. */
  readonly doubts: readonly string[];
  /** Points of one run only. */
  readonly unmatched: readonly string[];
}

interface Metric {
  readonly name: 'perSecond' | 'p50' | 'p99' | 'cpu';
  readonly label: string;
  readonly higherIsBetter: boolean;
  /** A move by less than this part is noise even if the rounds agree: two processes of one program differ as much. */
  readonly floor: number;
}

const metrics: readonly Metric[] = [
  { name: 'perSecond', label: 'requests/s', higherIsBetter: true, floor: 0.03 },
  { name: 'p50', label: 'p50 ms', higherIsBetter: false, floor: 0.05 },
  { name: 'p99', label: 'p99 ms', higherIsBetter: false, floor: 0.15 },
  { name: 'cpu', label: 'CPU us', higherIsBetter: false, floor: 0.04 },
];

const ENOUGH_ROUNDS = 3;
/** Fewer rounds, or others at work on the machine: the floor is so many times as high. */
const DOUBT = 3;
const BUSY_CORES = 0.2;
/** From this part of the machine on, rates and latencies are those of others, and CPU alone is compared. */
const TAKEN_PART = 0.5;

/** The moves from one run to the other beyond the noise. */
export function compare(before: Results, after: Results): Comparison {
  const known = new Map(before.points.map((point) => [nameOf(point), point]));
  const there = new Set(after.points.map(nameOf));
  const changes = after.points.flatMap((point) => {
    const old = known.get(nameOf(point));
    return old ? changesOf(nameOf(point), old, point, isTaken(old, before) || isTaken(point, after)) : [];
  });
  const unmatched = [...known.keys()]
    .filter((name) => !there.has(name))
    .concat([...there].filter((name) => !known.has(name)));
  return { changes, doubts: doubtsOf(before, after), unmatched };
}

/**
 * The rule: the rounds of each side span an interval, made at least as wide as the floor on either side of the median.
 * What moved is what leaves the two without a value in common.
 */
export function moved(before: Spread, after: Spread, floor: number): boolean {
  const [a, b] = [interval(before, floor), interval(after, floor)];
  return a.high < b.low || b.high < a.low;
}

function interval({ min, median, max }: Spread, floor: number): { low: number; high: number } {
  // Half on each side, so that two medians must lie the whole floor apart.
  return { low: Math.min(min, median * (1 - floor / 2)), high: Math.max(max, median * (1 + floor / 2)) };
}

function isTaken(point: Point, { machine }: Results): boolean {
  return summarize(point).othersCores > TAKEN_PART * machine.cores;
}

function changesOf(what: string, old: Point, point: Point, isTakenByOthers: boolean): Change[] {
  const [a, b] = [summarize(old), summarize(point)];
  const isDoubtful =
    [old, point].some(({ rounds }) => rounds.length < ENOUGH_ROUNDS) ||
    Math.max(a.othersCores, b.othersCores) > BUSY_CORES;
  const isBound = [old, point].some(({ rounds }) => rounds.some(isGeneratorBound));
  return metrics
    .filter(({ name }) => Number.isFinite(a[name].median) && Number.isFinite(b[name].median))
    .filter(({ name }) => name === 'cpu' || !isTakenByOthers)
    .filter(({ name }) => !(isBound && name === 'perSecond'))
    .map(({ name, label, higherIsBetter, floor }) => {
      const by = (b[name].median - a[name].median) / a[name].median;
      const hasMoved = moved(a[name], b[name], isDoubtful ? floor * DOUBT : floor);
      const verdict = !hasMoved ? 'within the noise' : by > 0 === higherIsBetter ? 'better' : 'worse';
      return { what, metric: label, before: a[name], after: b[name], by, verdict };
    });
}

function doubtsOf(before: Results, after: Results): string[] {
  const [a, b] = [before.machine, after.machine];
  const points = [...before.points, ...after.points];
  const others = Math.max(0, ...points.map((point) => summarize(point).othersCores));
  return [
    ...(a.cpu !== b.cpu || a.cores !== b.cores
      ? [`different machines (${a.cores} x ${a.cpu}; ${b.cores} x ${b.cpu}): what moved may be the machine`]
      : []),
    ...(points.some(({ rounds }) => rounds.length < ENOUGH_ROUNDS)
      ? [`fewer than ${ENOUGH_ROUNDS} rounds: only large moves are told`]
      : []),
    ...(others > BUSY_CORES ? [`others kept up to ${others.toFixed(1)} cores busy: only large moves are told`] : []),
    ...(before.points.some((point) => isTaken(point, before)) || after.points.some((point) => isTaken(point, after))
      ? ['where others kept more than half of the machine busy, rates and latencies are not compared']
      : []),
    ...(points.some(({ rounds }) => rounds.some(isGeneratorBound))
      ? ['where the generator was the bottleneck, rates are not compared']
      : []),
  ];
}

function nameOf({ scenario, target, loop, payload, context, keys, during }: Point): string {
  // An offered rate that was a part of the peak differs from run to run.
  const load = loop.kind === 'closed' ? loopName(loop) : `open loop at ${loop.asked}`;
  const settings = `${payload} bytes, ${context} context pairs, ${keys} keys${during === undefined ? '' : `, ${during}`}`;
  return `${scenario}, ${target}, ${load} (${settings})`;
}

export function compareLines({ changes, doubts, unmatched }: Comparison): string[] {
  const beyond = changes.filter(({ verdict }) => verdict !== 'within the noise');
  return [
    ...doubts.map((doubt) => `note: ${doubt}`),
    ...(beyond.length === 0 ? ['nothing moved beyond the noise'] : beyond.map(changeLine)),
    `${changes.length - beyond.length} of ${changes.length} figures are within the noise`,
    ...unmatched.map((name) => `only in one of the two: ${name}`),
  ];
}

function changeLine({ what, metric, before, after, by, verdict }: Change): string {
  const percent = `${by >= 0 ? '+' : ''}${(100 * by).toFixed(1)} %`;
  const figures = `${format(before.median)} -> ${format(after.median)} ${metric}`;
  return `${verdict.padEnd(7)} ${percent.padStart(9)}  ${figures.padEnd(34)} ${what}`;
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
