import type { LoopSettings } from './results.ts';

export function loopName(loop: LoopSettings): string {
  if (loop.kind === 'open') return `${loop.perSecond.toFixed(0)}/s offered`;
  return loop.connections === 1 ? '1 connection' : `${loop.connections} connections`;
}
