import { loopName, type Point, type Profile, type Results } from '../measure/results.ts';
import { isGeneratorBound, summarize, WAIT_MS } from '../measure/summary.ts';
import { escape, short } from './charts/format.ts';
import { lineChart } from './charts/line-chart.ts';
import { stackedBars } from './charts/stacked-bars.ts';
import { memoryChart } from './memory-chart.ts';
import {
  cpuBars,
  type Group,
  groupsOf,
  latencyChart,
  processRows,
  scalingChart,
  timeline,
  warnings,
} from './report-data.ts';
import { style } from './style.ts';

const TOP_FUNCTIONS = 20;

/** A self-contained page: no script, font or network. */
export function htmlReport(results: Results): string {
  const { machine, command } = results;
  const notes = warnings(results).map((line) => `<p class="warning">${escape(line)}</p>`);
  const body = [
    `<h1>KMS benchmark</h1>`,
    `<p class="facts">${facts(results).map(escape).join('<br>')}</p>`,
    `<pre>${escape(command)}</pre>`,
    ...notes,
    ...groupsOf(results.points).map((group) => section(group, results)),
    searches(results),
  ];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>KMS benchmark, ${escape(machine.date)}</title><style>${style}</style></head><body><main>${body.join('\n')}</main></body></html>\n`;
}

function facts({ machine, generatorLimit, versions }: Results): string[] {
  const { perSecond, cpu, processes } = generatorLimit;
  return [
    `${machine.date}, commit ${machine.commit}, ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}`,
    `${machine.cores} x ${machine.cpu}, ${machine.memoryGb} GB, Linux ${machine.kernel}; load generator and servers on this machine`,
    `The generator alone (${processes} process${processes === 1 ? '' : 'es'}) reaches ${short(perSecond)} requests a second, at ${short(cpu)} us of CPU each.`,
  ];
}

function section(group: Group, { profiles, sliceMs }: Results): string {
  const charts = [latencyChart(group), scalingChart(group)].flatMap((chart) => (chart ? [lineChart(chart)] : []));
  const cpu = cpuBars(group);
  if (cpu) charts.push(stackedBars('CPU per request, by process', cpu.parts, cpu.bars, 'us'));
  charts.push(...group.points.flatMap((point) => memoryChart(point) ?? []).map(lineChart));
  const [told, quiet] = split(group.points, (point) => point.rounds.some(({ marks }) => marks.length > 0));
  const lines = (points: readonly Point[]) => points.flatMap((point) => timeline(point, sliceMs) ?? []).map(lineChart);
  const own = profiles.filter(
    ({ scenario }) => scenario === group.points[0]?.scenario && group.points[0]?.during === undefined,
  );
  return [
    `<section><h2>${escape(group.title)}</h2>`,
    pointTable(group.points),
    `<div class="charts">${[...charts, ...lines(told)].join('')}</div>`,
    own.length === 0
      ? ''
      : `<h3>CPU per request, by function</h3><div class="charts">${own.map(profileBars).join('')}</div>`,
    details('Latency over time', `<div class="charts">${lines(quiet).join('')}</div>`, quiet.length > 0),
    operationTable(group.points),
    details(
      'Processes',
      processTables(group.points),
      group.points.some(({ rounds }) => Object.keys(rounds[0]!.processes).length > 0),
    ),
    '</section>',
  ].join('\n');
}

function pointTable(points: readonly Point[]): string {
  const head = ['target', 'load', 'requests/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'CPU us', ''];
  const rows = points.map((point) => {
    const { perSecond, p50, p99, p999, cpu, failures, lateness, wait } = summarize(point);
    const spread =
      point.rounds.length > 1
        ? `${point.rounds.length} rounds: ${short(perSecond.min)} to ${short(perSecond.max)}/s`
        : '';
    const failed = Object.entries(failures).map(([failure, count]) => `${failure} ${count}`);
    const bound = point.rounds.some(isGeneratorBound) ? ['generator bound'] : [];
    const late = point.loop.kind === 'open' ? `begun late by ${short(lateness)} ms at p99` : '';
    const behind = wait > WAIT_MS ? `did not keep up: half waited ${short(wait)} ms for a free connection` : '';
    const note = [spread, late, behind, ...failed, ...bound].filter((part) => part !== '').join('; ');
    const numbers = [perSecond, p50, p99, p999, cpu].map(({ median }) => short(median));
    return [point.target, loopName(point.loop), ...numbers, note];
  });
  return table(head, rows);
}

function operationTable(points: readonly Point[]): string {
  const rows = points.flatMap((point) =>
    summarize(point).operations.map(({ name, latencies }) => [
      `${point.target}, ${loopName(point.loop)}`,
      name,
      short(latencies.count),
      ...[0.5, 0.99, 0.999].map((part) => short(latencies.quantile(part))),
      '',
    ]),
  );
  const head = ['target', 'operation', 'answers', 'p50 ms', 'p99 ms', 'p99.9 ms', ''];
  return rows.length === 0 ? '' : table(head, rows);
}

function processTables(points: readonly Point[]): string {
  const head = [
    'process',
    'CPU per request',
    'memory',
    'event loop busy',
    'loop late p99 / longest',
    'garbage collections',
  ];
  return points
    .filter(({ rounds }) => Object.keys(rounds[0]!.processes).length > 0)
    .map((point) => `<h4>${escape(`${point.target}, ${loopName(point.loop)}`)}</h4>${table(head, processRows(point))}`)
    .join('');
}

function profileBars({ target, process, functions }: Profile): string {
  const bars = functions
    .slice(0, TOP_FUNCTIONS)
    .map(({ name, where, cpu }) => ({ label: `${name} ${where}`, values: [cpu] }));
  return stackedBars(`${target}: ${process}`, ['self'], bars, 'us');
}

function searches({ searches: found }: Results): string {
  if (found.length === 0) return '';
  const rows = found.map(({ scenario, target, boundMs, perSecond }) => [
    scenario,
    target,
    `${boundMs}`,
    perSecond === 0 ? 'none' : short(perSecond),
  ]);
  return `<section><h2>Highest rates</h2>${table(['scenario', 'target', 'p99 under ms', 'requests/s'], rows)}</section>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string) => row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('');
  return `<div class="wide"><table><thead><tr>${cells(head, 'th')}</tr></thead><tbody>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</tbody></table></div>`;
}

function details(summary: string, content: string, isThere: boolean): string {
  return isThere ? `<details><summary>${summary}</summary>${content}</details>` : '';
}

function split<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}
