import type { TestCluster } from '@keyfleet/test-support/cluster';
import { readFileSync } from 'node:fs';
import { Latencies } from '../histogram/latencies.ts';
import type { Round } from '../measure/results.ts';

const FIRST = 1000;
/** Of the measured time, the last part is taken to be steady. */
const STEADY = 0.25;

/** Seconds from nothing until the frontend is ready, of a cluster that was founded before. */
export async function restartAll(cluster: TestCluster): Promise<number> {
  await cluster.kill(...cluster.names);
  const begun = performance.now();
  const servers = ['redis', 'nats'];
  await cluster.restart(...servers);
  await cluster.restart(...cluster.names.filter((name) => !servers.includes(name) && name !== 'frontend'));
  await cluster.restart('frontend');
  return (performance.now() - begun) / 1000;
}

/** p50 in milliseconds of the first thousand answers (of whole slices), and of the last quarter of the time. */
export function firstAndSteady({ slices }: Pick<Round, 'slices'>): { first: number; steady: number } {
  const all = slices.map(({ latencies }) => Latencies.decode(latencies));
  let seen = 0;
  const early = all.filter(({ count }) => {
    const isEarly = seen < FIRST;
    seen += count;
    return isEarly;
  });
  const late = all.slice(Math.floor(all.length * (1 - STEADY)));
  return { first: Latencies.merged(early, 2).quantile(0.5), steady: Latencies.merged(late, 2).quantile(0.5) };
}

/** MiB that the processes have to themselves, and their share of what they have with others. */
export function proportionalMemory(pids: readonly number[]): number {
  const kilobytes = pids.map((pid) => {
    const found = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
    return Number(found);
  });
  return kilobytes.reduce((sum, one) => sum + one, 0) / 1024;
}
