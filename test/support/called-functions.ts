// Loaded into a service by `node --import .../called-functions.ts?FOLDER`: at each SIGUSR2 it writes to
// FOLDER/PID-N.json which of our functions were called since the last signal, as `file:offset`. A file's body, at
// offset 0, does not count.
import { renameSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

function startCounting(folder: string): void {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  let takes = 0;
  process.on('SIGUSR2', () => {
    session.post('Profiler.takePreciseCoverage', (_error, { result }) => {
      const path = join(folder, `${process.pid}-${takes++}.json`);
      writeFileSync(`${path}.part`, JSON.stringify(result.flatMap(calledIn)));
      renameSync(`${path}.part`, path);
    });
  });
}

interface Script {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly { readonly startOffset: number; readonly count: number }[];
  }[];
}

function calledIn({ url, functions }: Script): string[] {
  const [, file] = /^file:.*?\/((?:packages|services)\/[^/]+\/src\/.*\.ts)$/.exec(url) ?? [];
  if (file === undefined) return [];
  return functions
    .map(({ ranges: [span] }) => span!)
    .filter(({ startOffset, count }) => count > 0 && startOffset > 0)
    .map(({ startOffset }) => `${file}:${startOffset}`);
}

if (isMainThread) startCounting(decodeURIComponent(new URL(import.meta.url).search.slice(1)));
