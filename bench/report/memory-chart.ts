import { memoryGrowth } from '../measure/memory-growth.ts';
import { loopName, type Point } from '../measure/results.ts';
import { MEMORY_EVERY_MS } from '../observe/process-watch.ts';
import { short } from './charts/format.ts';
import type { LineChart } from './charts/line-chart.ts';

const MIB = 2 ** 20;
const READINGS_A_MINUTE = 60_000 / MEMORY_EVERY_MS;

/** Memory of each process over a point's first round, if that was long enough to show growth. */
export function memoryChart(point: Point): LineChart | undefined {
  const [round] = point.rounds;
  const growth = round === undefined ? {} : memoryGrowth(round);
  if (round === undefined || Object.keys(growth).length === 0) return undefined;
  const series = Object.entries(growth).map(([name, bytes]) => ({
    name: `${name}, ${short(bytes / MIB)} MiB an hour`,
    points: round.processes[name]!.memoryReadings!.map((reading, index) => ({
      x: (index + 1) / READINGS_A_MINUTE,
      y: reading / MIB,
      label: `${short(reading / MIB)} MiB`,
    })),
  }));
  return {
    title: `Memory over time: ${point.target}, ${loopName(point.loop)}`,
    x: { label: 'minutes', kind: 'linear' },
    y: { label: 'MiB', kind: 'linear' },
    series,
    dense: true,
  };
}
