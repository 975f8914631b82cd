import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { htmlReport } from './html.ts';
import { BenchError } from '../bench-error.ts';
import type { Results } from '../measure/results.ts';

/** Without an extension. */
export function usualPath(date: string): string {
  return join(import.meta.dirname, '../results', date.replaceAll(':', '-'));
}

/** Called before anything is measured. Throws BenchError if the run could not be kept there. */
export function assertCanKeep(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    throw new BenchError(`--out ${path}: ${(cause as Error).message}`, { cause });
  }
}

export function writeResults(path: string, results: Results): string {
  const file = `${path}.json`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results)}\n`);
  return file;
}

export function writeReport(path: string, results: Results): string {
  const file = `${path}.html`;
  writeFileSync(file, htmlReport(results));
  return file;
}

export function readResults(file: string): Results {
  let found: Partial<Results>;
  try {
    found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Results>;
  } catch (cause) {
    throw new BenchError(`${file}: ${(cause as Error).message}`, { cause });
  }
  if (found.format === 'keyfleet-bench/1') return found as Results;
  throw new BenchError(`${file} is not what this benchmark writes (keyfleet-bench/1): run it again.`);
}
