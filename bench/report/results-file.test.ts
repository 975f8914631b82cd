import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assertCanKeep } from './results-file.ts';

test('a place where a run cannot be kept is refused in one line, before it is measured', () => {
  const inAFile = join(import.meta.filename, 'A');
  expect(() => assertCanKeep(inAFile)).toThrow(`--out ${inAFile}: `);
  expect(() => assertCanKeep(join(import.meta.dirname, 'A'))).not.toThrow();
});
