import { Latencies } from '../histogram/latencies.ts';
import { loopName, type Point, type Results } from '../measure/results.ts';
import { summarize } from '../measure/summary.ts';
import type { Bar } from './charts/stacked-bars.ts';
import type { LineChart, Series } from './charts/line-chart.ts';
import { short } from './charts/format.ts';

/** A report's part on points that differ only in load and target. */
export interface Group {
  readonly title: string;
  readonly points: readonly Point[];
}

/** In the order in which they were measured. */
export function groupsOf(points: readonly Point[]): Group[] {
  return [...Map.groupBy(points, titleOf)].map(([title, group]) => ({ title, points: group }));
}

function titleOf({ scenario, keys, payload, context, during }: Point): string {
  const settings = [
    ...(keys === 1 ? [] : [`${short(keys)} keys`]),
    ...(payload === 32 ? [] : [`${payload} bytes`]),
    ...(context === 1 ? [] : [`${context} context pairs`]),
    ...(during === undefined ? [] : [`during ${during}`]),
  ];
  return [scenario, ...settings].join(', ');
}

/** Throughput against latency: one curve for each target and kind of loop, where there are two points at least. */
export function latencyChart({ points }: Group): LineChart | undefined {
  const series = seriesBy(points, (point) => {
    const { perSecond, p99 } = summarize(point);
    const label = `${loopName(point.loop)}: ${short(perSecond.median)}/s, p99 ${short(p99.median)} ms`;
    return { x: perSecond.median, y: p99.median, label };
  });
  if (!series.some(({ points: found }) => found.length > 1)) return undefined;
  const [x, y] = [
    { label: 'requests per second', kind: 'linear' },
    { label: 'p99, ms', kind: 'log' },
  ] as const;
  return { title: 'Throughput against latency', x, y, series };
}

/** Rate by connections, of the closed loops. */
export function scalingChart({ points }: Group): LineChart | undefined {
  const closed = points.filter(({ loop }) => loop.kind === 'closed');
  const series = seriesBy(closed, (point) => {
    const { perSecond } = summarize(point);
    const label = `${loopName(point.loop)}: ${short(perSecond.median)}/s (${short(perSecond.min)} to ${short(perSecond.max)})`;
    return { x: point.loop.connections, y: perSecond.median, label };
  });
  if (!series.some(({ points: found }) => found.length > 1)) return undefined;
  const [x, y] = [
    { label: 'connections', kind: 'log' },
    { label: 'requests per second', kind: 'linear' },
  ] as const;
  return { title: 'Scaling', x, y, series };
}

function seriesBy(points: readonly Point[], toPoint: (point: Point) => Series['points'][number]): Series[] {
  const named = Map.groupBy(points, ({ target, loop }) => (loop.kind === 'closed' ? target : `${target}, open loop`));
  return [...named].map(([name, found]) => ({ name, points: found.toSorted(byLoad).map(toPoint) }));
}

/** A curve goes from the least load to the most, whatever the rates were. */
function byLoad({ loop: a }: Point, { loop: b }: Point): number {
  if (a.kind === 'open' && b.kind === 'open') return a.perSecond - b.perSecond;
  return a.connections - b.connections;
}

export interface CpuBars {
  readonly parts: readonly string[];
  readonly bars: readonly Bar[];
}

/** Microseconds per request by process. */
export function cpuBars({ points }: Group): CpuBars | undefined {
  const rows = points.map((point) => ({ point, cpu: summarize(point).cpuByProcess }));
  const parts = [...new Set(rows.flatMap(({ cpu }) => Object.keys(cpu)))];
  if (parts.length === 0) return undefined;
  const bars = rows
    .filter(({ cpu }) => Object.keys(cpu).length > 0)
    .map(({ point, cpu }) => ({
      label: `${point.target}, ${loopName(point.loop)}`,
      values: parts.map((part) => cpu[part] ?? 0),
    }));
  return { parts, bars };
}

/** Latency over the measured time of a point's first round, with what happened meanwhile. */
export function timeline(point: Point, sliceMs: number): LineChart | undefined {
  const [round] = point.rounds;
  if (!round || round.slices.length < 3) return undefined;
  const slices = round.slices.map(({ latencies, failed }, index) => ({
    seconds: ((index + 0.5) * sliceMs) / 1000,
    latencies: Latencies.decode(latencies),
    failed,
  }));
  const line = (name: string, part: number): Series => ({
    name,
    points: slices.map(({ seconds, latencies }) => {
      const y = latencies.quantile(part);
      return { x: seconds, y, label: `${short(y)} ms at ${short(seconds)} s` };
    }),
  });
  const failed = slices.flatMap((slice) => (slice.failed > 0 ? [slice] : []));
  const marks = [
    // What ended after the measured time has no place on the axis.
    ...round.marks
      .filter(({ at }) => at <= round.seconds * 1000)
      .map(({ at, what }) => ({ x: at / 1000, label: what })),
    ...failed.slice(0, 1).map((first) => ({ x: first.seconds, label: `first of ${sum(failed)} failures` })),
  ];
  return {
    title: `Latency over time: ${point.target}, ${loopName(point.loop)}`,
    x: { label: 'seconds', kind: 'linear' },
    y: { label: 'ms', kind: 'log' },
    series: [line('p50', 0.5), line('p99', 0.99), line('longest', 1)],
    marks: marks.toSorted((a, b) => a.x - b.x),
    dense: true,
  };
}

function sum(slices: readonly { readonly failed: number }[]): number {
  return slices.reduce((total, { failed }) => total + failed, 0);
}

/** One line for each process of a point: its use and its health. */
export function processRows(point: Point): readonly (readonly string[])[] {
  const { cpuByProcess } = summarize(point);
  const round = point.rounds.at(-1)!;
  return Object.entries(round.processes).map(([name, { memory, probe }]) => [
    name,
    `${short(cpuByProcess[name]!)} us`,
    `${short(memory / 2 ** 20)} MiB`,
    probe === undefined ? '' : `${(probe.loop * 100).toFixed(0)} %`,
    probe === undefined ? '' : `${short(probe.delayP99)} / ${short(probe.delayLongest)} ms`,
    probe === undefined ? '' : `${probe.gc.count}, ${short(probe.gc.ms)} ms, longest ${short(probe.gc.longest)} ms`,
  ]);
}

/** Notes on the whole run that a reader must know before any figure. */
export function warnings({ points, machine }: Pick<Results, 'points' | 'machine'>): string[] {
  const summaries = points.map(summarize);
  const others = Math.max(0, ...summaries.map(({ othersCores }) => othersCores));
  const bound = summaries.filter(({ generatorBound }) => generatorBound).length;
  const failed = summaries.filter(({ failures }) => Object.keys(failures).length > 0).length;
  return [
    ...(others > 0.2
      ? [
          `Others kept up to ${others.toFixed(1)} of ${machine.cores} cores busy: these figures say little of the servers.`,
        ]
      : []),
    ...(bound > 0 ? [`In ${bound} of ${points.length} points the generator was the bottleneck.`] : []),
    ...(failed > 0 ? [`In ${failed} of ${points.length} points requests failed.`] : []),
  ];
}
