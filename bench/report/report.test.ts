import { expect, test } from 'vitest';
import { linearScale, logScale } from './charts/scale.ts';
import { htmlReport } from './html.ts';
import { cpuBars, groupsOf, latencyChart, scalingChart, timeline, warnings } from './report-data.ts';
import { samplePoint, sampleResults, sampleRound } from './sample-results.ts';

const closed = (connections: number, requests: number, target = 'keyfleet') =>
  samplePoint([sampleRound(requests, connections)], { target, loop: { kind: 'closed', connections } });

test('points are grouped by what is called, with what differs from the usual', () => {
  const points = [closed(1, 10), samplePoint([sampleRound(1, 1)], { keys: 1000 }), closed(16, 20)];
  const groups = groupsOf(points);
  expect(groups.map(({ title }) => title)).toEqual(['encrypt', 'encrypt, 1,000 keys']);
  expect(groups[0]!.points).toHaveLength(2);
});

test('each target has its curve, from the least load to the most', () => {
  const [group] = groupsOf([closed(16, 300), closed(1, 100), closed(1, 50, 'other'), closed(16, 90, 'other')]);
  const chart = latencyChart(group!);
  expect(chart!.series.map(({ name }) => name)).toEqual(['keyfleet', 'other']);
  expect(chart!.series[0]!.points.map(({ x }) => x)).toEqual([100, 300]);
  expect(scalingChart(group!)!.series[0]!.points.map(({ x, y }) => [x, y])).toEqual([
    [1, 100],
    [16, 300],
  ]);
});

test('one point makes no curve', () => {
  expect(latencyChart(groupsOf([closed(1, 100)])[0]!)).toBeUndefined();
});

test('CPU is stacked by process, per request', () => {
  expect(cpuBars(groupsOf([closed(1, 100)])[0]!)).toEqual({
    parts: ['frontend', 'worker'],
    bars: [{ label: 'keyfleet, 1 connection', values: [100, 50] }],
  });
});

test('latency over time has what happened meanwhile, and the first failure', () => {
  const slices = sampleRound(10, 5).slices.map((slice, index) => ({ ...slice, failed: index >= 2 ? 3 : 0 }));
  const round = sampleRound(10, 5, {
    slices,
    marks: [
      { at: 300, what: 'frontend killed' },
      { at: 9000, what: 'frontend is back' },
    ],
  });
  const chart = timeline(samplePoint([round]), 250)!;
  expect(chart.marks).toEqual([
    { x: 0.3, label: 'frontend killed' },
    { x: 0.625, label: 'first of 6 failures' },
  ]);
  expect(chart.series[0]!.points.map(({ x }) => x)).toEqual([0.125, 0.375, 0.625, 0.875]);
});

test('a report warns of a busy machine before it shows a figure', () => {
  const results = sampleResults([samplePoint([sampleRound(10, 5, { othersCores: 1.2 })])]);
  expect(warnings(results).join()).toContain('Others kept up to 1.2 of 2 cores busy');
  expect(warnings(sampleResults([closed(1, 10)]))).toEqual([]);
});

test('a report needs nothing from elsewhere, and what is shown cannot become markup', () => {
  const html = htmlReport(sampleResults([closed(1, 10, '<b>x</b>'), closed(16, 20, '<b>x</b>')]));
  expect(html).not.toMatch(/<script|<link|src=|url\(|https?:/);
  expect(html).not.toContain('<b>x</b>');
  expect(html).toContain('&lt;b&gt;x&lt;/b&gt;');
  expect(html).not.toMatch(/NaN|undefined/);
});

test('scales hold every value between round ticks', () => {
  expect(linearScale(37, 0, 100).ticks).toEqual([0, 10, 20, 30, 40]);
  expect(linearScale(0, 0, 100).at(0)).toBe(0);
  expect(logScale(1, 1000, 0, 100).ticks).toEqual([1, 10, 100, 1000]);
  expect(logScale(3, 3, 0, 100).ticks.length).toBeGreaterThan(1);
  expect(logScale(1, 64, 0, 60).at(8)).toBeCloseTo(30);
});
