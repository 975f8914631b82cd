import { execa } from 'execa';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { findProgram, installPackages } from '../../tools/debian-packages.ts';

const folder = join(import.meta.dirname, '../../deploy/monitoring');

beforeAll(async () => {
  if (findProgram('promtool') === undefined) expect(await installPackages(['prometheus'], () => {})).toBeUndefined();
}, 300_000);

const promtool = (...args: readonly string[]) => execa('promtool', args, { reject: false, all: true });

test('promtool takes the alert rules, and each fires when it should and not when it should not', async () => {
  const checked = await promtool('check', 'rules', join(folder, 'alerts.yaml'));
  expect(checked.exitCode, checked.all).toBe(0);
  const tested = await promtool('test', 'rules', join(folder, 'alerts.test.yaml'));
  expect(tested.exitCode, tested.all).toBe(0);
});

interface Dashboard {
  readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
}

test('the parser of Prometheus takes every expression of the dashboard', async () => {
  const { panels } = JSON.parse(await readFile(join(folder, 'dashboard.json'), 'utf8')) as Dashboard;
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  expect(expressions.length).toBeGreaterThan(20);
  const check = async (all: readonly string[]) => {
    await using home = await mkdtempDisposable(join(tmpdir(), 'keyfleet-promtool-'));
    const rules = all.map((expr, index) => ({ record: `expression:${index}`, expr }));
    const file = join(home.path, 'rules.yaml');
    // JSON is YAML. Grafana fills in the interval.
    await writeFile(
      file,
      JSON.stringify({ groups: [{ name: 'dashboard', rules }] }).replaceAll('$__rate_interval', '5m'),
    );
    return await promtool('check', 'rules', file);
  };
  const checked = await check(expressions);
  expect(checked.exitCode, checked.all).toBe(0);
  expect((await check([...expressions, 'sum by (le (keyfleet_requests_total)'])).exitCode).toBe(1);
});
