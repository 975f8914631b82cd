import { BenchError } from '../bench-error.ts';
import { readResults, writeReport } from './results-file.ts';

/** `npm run bench -- report A.json`: beside each file, its report. */
export function reportFiles(files: readonly string[]): void {
  if (files.length === 0) throw new BenchError('report takes files: npm run bench -- report A.json');
  for (const file of files) {
    const written = writeReport(file.replace(/\.json$/, ''), readResults(file));
    process.stdout.write(`${written}\n`);
  }
}
