import { aroundEvent } from '../measure/around-event.ts';
import { memoryGrowth } from '../measure/memory-growth.ts';
import type { Work } from '../measure/plan.ts';
import { loopName, type GeneratorLimit, type Point, type Round, type SearchResult } from '../measure/results.ts';
import { stallsOf } from '../measure/stalls.ts';
import { short } from './charts/format.ts';
import { type PointSummary, type Spread, summarize, WAIT_MS } from '../measure/summary.ts';
import type { Machine } from '../observe/machine.ts';

/** A row mentions others at work from this many cores on. */
const BUSY_CORES = 0.2;
const LATE_MS = 2;
const STALL_MS = 20;
const MIB = 2 ** 20;

export function heading({ commit, cores, cpu, kernel, node }: Machine, limit: GeneratorLimit): string[] {
  const own = `${limit.processes} process${limit.processes === 1 ? '' : 'es'}`;
  return [
    `commit ${commit}, ${cores} x ${cpu}, Linux ${kernel}, Node ${node}`,
    `load generator on this machine, ${own}: against a server that does nothing ${limit.perSecond.toFixed(0)}/s, ${limit.cpu.toFixed(0)} us of CPU a request`,
    'cpu is microseconds per request of each process; latencies in ms\n',
  ];
}

export function workTitle({ name, keys, payload, context }: Work): string {
  const settings = [
    ...(keys === 1 ? [] : [`${keys} keys`]),
    ...(payload === 32 ? [] : [`${payload} bytes`]),
    ...(context === 1 ? [] : [`${context} context pairs`]),
  ];
  return settings.length === 0 ? name : `${name} (${settings.join(', ')})`;
}

/** A row, and its caveats below it. */
export function rows(point: Point, first: PointSummary | undefined): string[] {
  const summary = summarize(point);
  const { perSecond, p50, p99, p999, cpuByProcess } = summary;
  const cpu = Object.entries(cpuByProcess).map(([name, microseconds]) => `${name} ${microseconds.toFixed(0)}`);
  const row = [
    `  ${point.target}`.padEnd(20),
    loopName(point.loop).padStart(16),
    `${short(perSecond.median)}/s`.padStart(9),
    `p50 ${short(p50.median)}`.padStart(11),
    `p99 ${short(p99.median)}`.padStart(11),
    `p99.9 ${short(p999.median)}`.padStart(13),
    cpu.length === 0 ? '' : `  cpu ${cpu.join(', ')}`,
  ].join(' ');
  return [row.trimEnd(), ...notes(point, summary, first).map((note) => `      ${note}`)];
}

function notes(point: Point, summary: PointSummary, first: PointSummary | undefined): string[] {
  const found: string[] = [];
  if (first && point.loop.kind === 'closed') {
    found.push(
      `${((100 * summary.perSecond.median) / first.perSecond.median).toFixed(0)} % of the first target's rate`,
    );
  }
  if (point.rounds.length > 1)
    found.push(`${point.rounds.length} rounds: ${range(summary.perSecond, 0)}/s, p99 ${range(summary.p99, 2)}`);
  const failures = Object.entries(summary.failures).map(([failure, count]) => `${failure} ${count}`);
  if (failures.length > 0) found.push(`failed: ${failures.join(', ')}`);
  const [round] = point.rounds;
  if (round && round.marks.length > 0) {
    found.push(
      `during ${point.during}: ${round.marks.map(({ at, what }) => `${(at / 1000).toFixed(1)} s ${what}`).join(', ')}`,
    );
    found.push(besideEvent(round));
  }
  found.push(
    ...summary.operations.map(
      ({ name, latencies }) =>
        `${name}: ${latencies.count} answers, p50 ${short(latencies.quantile(0.5))}, p99 ${short(latencies.quantile(0.99))}`,
    ),
  );
  if (summary.wait > WAIT_MS) {
    found.push(
      `the target did not keep up: half of the requests waited ${short(summary.wait)} ms or longer for a free connection`,
    );
  }
  if (summary.lateness > LATE_MS) {
    found.push(
      `the generator itself began requests late: ${short(summary.lateness)} ms at p99, which is in the latencies`,
    );
  }
  const slow = slowest(point);
  if (slow) found.push(slow);
  const growth = round === undefined ? [] : Object.entries(memoryGrowth(round));
  if (growth.length > 0) {
    const changes = growth.map(([name, bytes]) => `${name} ${signed(bytes / MIB)}`);
    found.push(`memory, MiB an hour: ${changes.join(', ')}`);
  }
  if (summary.generatorBound) found.push('the generator was the bottleneck: the server may do more (--generators)');
  if (summary.othersCores > BUSY_CORES)
    found.push(`others kept ${summary.othersCores.toFixed(1)} cores of the machine busy`);
  return found;
}

function besideEvent(round: Round): string {
  const { before, from } = aroundEvent(round);
  const [earlier, later] = [before, from].map(
    (one) => `p99 ${short(one.quantile(0.99))}, longest ${short(one.longest)}`,
  );
  return `before it ${earlier}; from then on ${later}`;
}

/** The longest stall of an event loop, where probes saw one. */
function slowest(point: Point): string | undefined {
  const [longest] = stallsOf([point]);
  return longest && longest.ms > STALL_MS
    ? `an event loop was held up ${longest.ms.toFixed(0)} ms: ${longest.process}`
    : undefined;
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(1)}`;
}

function range({ min, max }: Spread, digits: number): string {
  return `${min.toFixed(digits)} to ${max.toFixed(digits)}`;
}

export function searchRow({ target, boundMs, perSecond }: SearchResult): string {
  const found = perSecond === 0 ? 'at no rate that was tried' : `up to ${perSecond.toFixed(0)}/s`;
  return `  ${target}`.padEnd(20) + ` p99 stays under ${boundMs} ms ${found}`;
}
