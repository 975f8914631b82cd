import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Profile } from '../measure/results.ts';

/** What V8's profiler gives; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const KEPT = 60;

/**
 * Each function's own time per request. The profile also has the warm-up, so that its shares are taken and the requests
 * are those of the whole profile, at the rate of the `requests` that were answered in `seconds`; what waits is left
 * out.
 */
export function functionsOf(
  { nodes, samples, timeDeltas }: CpuProfile,
  requests: number,
  seconds: number,
): Profile['functions'] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const profiledSeconds = timeDeltas.reduce((sum, delta) => sum + delta, 0) / 1e6;
  const all = Math.max(1, (requests / seconds) * profiledSeconds);
  const totals = new Map<string, { name: string; where: string; cpu: number }>();
  samples.forEach((id, index) => {
    const { functionName, url, lineNumber } = frames.get(id)!;
    // The profiler's own start takes a while.
    if (functionName === '(idle)' || url === 'node:inspector') return;
    const [name, where] = [functionName === '' ? '(anonymous)' : functionName, placeOf(url, lineNumber)];
    const known = totals.get(`${name} ${where}`) ?? { name, where, cpu: 0 };
    totals.set(`${name} ${where}`, { ...known, cpu: known.cpu + Math.max(0, timeDeltas[index]!) / all });
  });
  return [...totals.values()].toSorted((a, b) => b.cpu - a.cpu).slice(0, KEPT);
}

function placeOf(url: string, line: number): string {
  if (url === '') return '';
  const path = url.startsWith('file:') ? relative(root, fileURLToPath(url)) : url;
  return `${path.replace(/^.*node_modules\//, '')}:${line + 1}`;
}
