import { codeOf, production, textOf } from '@keyfleet/test-support/sources';
import { describe, expect, test } from 'vitest';

// docs/monitoring.md against the code: what is logged, measured and recorded stands there, and nothing that is gone.

const page = textOf('docs/monitoring.md');
const alerts = textOf('deploy/monitoring/alerts.yaml');

/** The first `cells` cells of each row under the heading. */
function rowsUnder(heading: string, cells: number): string[][] {
  const section = page.split(/^#+ /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const [, , ...rows] = [...section.matchAll(/^\| .*\|$/gm)].map(([row]) => row);
  expect(rows, `${heading} has no table`).not.toEqual([]);
  return rows.map((row) => row.slice(2).split(' | ').slice(0, cells));
}

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
}

/** `level: message` of every call of a log in the files under `folder`. */
function messagesOf(folder: string): string[] {
  const calls = production
    .filter((file) => file.startsWith(folder))
    .flatMap((file) => [
      ...codeOf(file).matchAll(/\b#?\w*[lL]og\.(debug|info|warn|error)\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)/g),
    ]);
  return calls.flatMap(([, level, args]) => {
    // The text comes after the fields, which may contain text of their own.
    const text = args!.replaceAll(/\{[^{}]*\}/g, '').replaceAll(/'\s*\+\s*'/g, '');
    return [...text.matchAll(/'([^']+)'/g)].map(([, message]) => `${level}: ${message}`);
  });
}

test.each([
  ['Every service', 'packages/shared/'],
  ['frontend', 'services/frontend/'],
  ['hsm-worker', 'services/hsm-worker/'],
  ['domain-manager', 'services/domain-manager/'],
  ['kms-plugin', 'packages/kms-plugin/'],
])('docs/monitoring.md has every log message of: %s', (heading, folder) => {
  const described = rowsUnder(heading, 2).map(([message, level]) => `${level}: ${namesIn(message!)[0]}`);
  expect(described.toSorted()).toEqual([...new Set(messagesOf(folder))].toSorted());
});

test('docs/monitoring.md has every metric', () => {
  const made = production.flatMap((file) =>
    [...codeOf(file).matchAll(/\b(operationMeter|outcomeCounter|observeGauges?)\(\s*'([^']+)'/g)].flatMap(
      ([, kind, name]) => (kind === 'operationMeter' ? [name!, `${name}.duration.milliseconds`] : [name!]),
    ),
  );
  const described = rowsUnder('Metrics', 1).flatMap(([cell]) => namesIn(cell!));
  expect(described.toSorted()).toEqual(made.toSorted());
});

test('docs/monitoring.md has every field of audit records', () => {
  const audit = 'services/frontend/src/audit/';
  const fields = [
    ['record.ts', 'AuditRecord'],
    ['service-events.ts', 'ServiceEvent'],
  ].flatMap(([file, name]) => {
    const [, members = ''] = new RegExp(`interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`).exec(codeOf(audit + file)) ?? [];
    return [...members.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, field]) => field!);
  });
  const described = rowsUnder('Audit log', 1).flatMap(([cell]) => namesIn(cell!));
  expect(described.toSorted()).toEqual([...new Set(fields)].toSorted());
});

describe('docs/alerts.md', () => {
  const [, ...headings] = textOf('docs/alerts.md').split(/^## /m);
  const rules = [...alerts.matchAll(/- alert: (\w+)\n[\s\S]*?runbook_url: (\S+)\n/g)].map(([, name, url]) => [
    name!,
    url!,
  ]);

  test('has a heading for every alert, in their order, and none for another', () => {
    const names = headings.map((text) => text.slice(0, text.indexOf('\n')));
    expect(names).toEqual([...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name));
  });

  test('says under each what it means, how to see it and what to do', () => {
    for (const text of headings) expect(text).toMatch(/\*\*Means\*\*:[\s\S]+\*\*See\*\*[\s\S]+\*\*[Dd]o\*\*/);
  });

  test.each(rules)('is where the runbook_url of %s leads, to its heading', (name, url) => {
    expect(url).toBe(`https://github.com/keyfleet/keyfleet/blob/main/docs/alerts.md#${name.toLowerCase()}`);
  });

  test('quotes no heading of another page that is gone', () => {
    const quoted = [...headings.join('').matchAll(/\]\((\w+\.md)\),\s"([^"]+)"/g)];
    expect(quoted.length).toBeGreaterThan(5);
    for (const [, file, heading] of quoted)
      expect(textOf(`docs/${file}`)).toMatch(new RegExp(`^#+ ${heading!.replaceAll(/\s+/g, ' ')}$`, 'm'));
  });
});
