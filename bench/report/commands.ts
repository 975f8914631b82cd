import { BenchError } from '../bench-error.ts';
import { compare, compareLines } from './compare.ts';
import { readResults, writeReport } from './results-file.ts';

/** `npm run bench -- compare A.json B.json`. */
export function compareFiles([before, after, ...rest]: readonly string[]): void {
  if (before === undefined || after === undefined || rest.length > 0) {
    throw new BenchError('compare takes two files: npm run bench -- compare A.json B.json');
  }
  const lines = compareLines(compare(readResults(before), readResults(after)));
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** `npm run bench -- report A.json`: beside each file, its report. */
export function reportFiles(files: readonly string[]): void {
  if (files.length === 0) throw new BenchError('report takes files: npm run bench -- report A.json');
  for (const file of files) {
    const written = writeReport(file.replace(/\.json$/, ''), readResults(file));
    process.stdout.write(`${written}\n`);
  }
}
