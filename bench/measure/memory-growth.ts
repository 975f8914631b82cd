import { MEMORY_EVERY_MS } from '../observe/process-watch.ts';
import type { Round } from './results.ts';

/** Ten minutes: in a shorter time a heap shows its own ups and downs. */
const LEAST_READINGS = 600_000 / MEMORY_EVERY_MS;
const READINGS_AN_HOUR = 3_600_000 / MEMORY_EVERY_MS;

/** Bytes an hour by process: the slope of the straight line that is nearest to its readings, by least squares. */
export function memoryGrowth({ processes }: Pick<Round, 'processes'>): Readonly<Record<string, number>> {
  const watched = Object.entries(processes).flatMap(([name, { memoryReadings = [] }]) =>
    memoryReadings.length < LEAST_READINGS ? [] : [[name, slopeOf(memoryReadings) * READINGS_AN_HOUR] as const],
  );
  return Object.fromEntries(watched);
}

function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let [together, spread] = [0, 0];
  for (const [index, value] of values.entries()) {
    together += (index - middle) * (value - mean);
    spread += (index - middle) ** 2;
  }
  return together / spread;
}
