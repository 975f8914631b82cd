import { operations } from '@keyfleet/shared/api/registry';
import { exceptions } from '@keyfleet/shared/errors/exceptions';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generatedFiles } from '../tools/gen.ts';

function document(name: string): string {
  return readFileSync(join(import.meta.dirname, '../docs', name), 'utf8');
}

test('docs/api.md describes every operation, and none that is gone', () => {
  const families = document('api.md')
    .split(/^## /m)
    .filter((section) => !section.startsWith('Structures'));
  const described = families.flatMap((section) => [...section.matchAll(/^### (\w+)$/gm)].map(([, name]) => name!));
  expect(described.toSorted()).toEqual(Object.keys(operations).toSorted());
});

test('docs/errors.md describes every exception, and none that is gone', () => {
  const described = [...document('errors.md').matchAll(/^- `(\w+)`:/gm)].map(([, name]) => name!);
  expect(described.toSorted()).toEqual(Object.keys(exceptions).toSorted());
});

test.each(Object.entries(generatedFiles()))('%s is what `npm run gen` writes', (path, content) => {
  expect(readFileSync(join(import.meta.dirname, '..', path), 'utf8')).toBe(content);
});
