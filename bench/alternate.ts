import { measure, type Measurement } from './measure.ts';
import type { LoadJob } from './load.ts';

export interface Variant {
  readonly name: string;
  readonly job: LoadJob;
  /** name -> pid */
  readonly processes: Readonly<Record<string, number>>;
}

/**
 * Measures the variants in turn, again and again, and gives for each the CPU of a request by process in the round that took
 * least: what else goes on on the machine only adds, and hardly spares one variant in all rounds.
 */
export async function alternate(
  variants: readonly Variant[],
  rounds: number,
): Promise<Record<string, Record<string, number>>> {
  const measured = new Map<string, Measurement[]>(variants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, job, processes } of variants) measured.get(name)?.push(await measure(job, processes));
  }
  return Object.fromEntries([...measured].map(([name, list]) => [name, least(list)]));
}

function least(list: readonly Measurement[]): Record<string, number> {
  const names = Object.keys(list[0]?.cpu ?? {});
  return Object.fromEntries(names.map((name) => [name, Math.min(...list.map(({ cpu }) => cpu[name] ?? 0))]));
}
