import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Profile } from '../measure/results.ts';

/** V8's profile; times in microseconds. */
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
 * Each function's own part of the `cpu` of a request, in its unit. The profile also has what went before and after the
 * measured time, so that only its shares are taken; what waits is left out.
 */
export function functionsOf({ nodes, samples, timeDeltas }: CpuProfile, cpu: number): Profile['functions'] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const totals = new Map<string, { name: string; where: string; time: number }>();
  samples.forEach((id, index) => {
    const { functionName, url, lineNumber } = frames.get(id)!;
    if (functionName === '(idle)' || isProfilersOwn(functionName, url)) return;
    const [name, where] = [functionName === '' ? '(anonymous)' : functionName, placeOf(url, lineNumber)];
    const known = totals.get(`${name} ${where}`) ?? { name, where, time: 0 };
    totals.set(`${name} ${where}`, { ...known, time: known.time + Math.max(0, timeDeltas[index]!) });
  });
  const all = [...totals.values()].reduce((sum, { time }) => sum + time, 0);
  return [...totals.values()]
    .toSorted((a, b) => b.time - a.time)
    .slice(0, KEPT)
    .map(({ name, where, time }) => ({ name, where, cpu: (time / all) * cpu }));
}

/** Its start and its stop take a while. */
function isProfilersOwn(name: string, url: string): boolean {
  return url === 'node:inspector' || (name === 'post' && url === '');
}

function placeOf(url: string, line: number): string {
  if (url === '') return '';
  const path = url.startsWith('file:') ? relative(root, fileURLToPath(url)) : url;
  return `${path.replace(/^.*node_modules\//, '')}:${line + 1}`;
}
