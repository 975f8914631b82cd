import { DomainManagerConfig } from '@keyfleet/domain-manager/config';
import { FrontendConfig } from '@keyfleet/frontend/config';
import { WorkerConfig } from '@keyfleet/hsm-worker/config';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const sections = readFileSync(join(import.meta.dirname, '../docs/operations.md'), 'utf8').split(/^### /m);

/** The names in the first column of the service's table. */
function describedFields(service: string): string[] {
  const section = sections.find((text) => text.startsWith(`${service}\n`)) ?? '';
  const cells = [...section.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell]) => cell!);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name!)).toSorted();
}

test.each([
  ['frontend', FrontendConfig],
  ['hsm-worker', WorkerConfig],
  ['domain-manager', DomainManagerConfig],
])('docs/operations.md describes every configuration field of the %s, and none that is gone', (service, schema) => {
  expect(describedFields(service)).toEqual(Object.keys(schema.shape).toSorted());
});
