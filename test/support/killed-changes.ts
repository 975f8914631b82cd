import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from './cluster.ts';
import type { Seeded } from './seeded.ts';

export interface KilledChanges {
  readonly cluster: TestCluster;
  /** Names of processes. */
  readonly victims: readonly string[];
  readonly random: Seeded;
}

/** The longest wait for a kill that is to come before the first change is acknowledged. */
const EARLY_MS = 8;

/**
 * Changes all keys at once, kills in the middle, and starts again what was killed. The ids whose change was
 * acknowledged; the others' may have been made, too.
 */
export async function killAmid(
  ids: readonly string[],
  change: (keyId: string) => Promise<unknown>,
  { cluster, victims, random }: KilledChanges,
): Promise<ReadonlySet<string>> {
  const acknowledged = new Set<string>();
  const awaited = random.between(0, Math.floor(ids.length / 4));
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const changing = ids.map(async (id) => {
    await change(id);
    acknowledged.add(id);
    if (acknowledged.size === awaited) resolve();
  });
  const settled = Promise.allSettled(changing);
  await (awaited === 0 ? delay(random.between(0, EARLY_MS)) : Promise.race([enough, settled]));
  await cluster.kill(...victims);
  await settled;
  await cluster.restart(...victims);
  return acknowledged;
}
