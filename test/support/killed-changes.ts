import { setTimeout as delay } from 'node:timers/promises';
import type { TestCluster } from './cluster.ts';
import type { Seeded } from './seeded.ts';

export interface KilledChanges {
  readonly cluster: TestCluster;
  /** Names of processes. */
  readonly victims: readonly string[];
  readonly random: Seeded;
}

/** The longest wait for a kill that must precede the first acknowledgement. */
const EARLY_MS = 8;
/** Changes begin at most this far apart, so that the kill meets some in each of their steps. */
const APART_MS = 3;

export interface Killed {
  /** The ids whose change was acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** Those whose change had begun and was not acknowledged: it may have been made, too. */
  readonly interrupted: ReadonlySet<string>;
}

/**
 * Begins to change one key after the other, kills in the middle, begins no more, and starts again what was killed.
 */
export async function killAmid(
  ids: readonly string[],
  change: (keyId: string) => Promise<unknown>,
  { cluster, victims, random }: KilledChanges,
): Promise<Killed> {
  const acknowledged = new Set<string>();
  const begun = new Map<string, Promise<unknown>>();
  const awaited = random.between(0, Math.floor(ids.length / 4));
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const changeOne = async (id: string) => {
    await change(id);
    acknowledged.add(id);
    if (acknowledged.size === awaited) resolve();
  };
  let isKilling = false;
  const beginning = (async () => {
    for (const id of ids) {
      if (isKilling) return;
      // One may be cut off while others still begin: each is settled from its beginning on.
      begun.set(id, Promise.allSettled([changeOne(id)]));
      await delay(random.between(0, APART_MS));
    }
  })();
  const settled = beginning.then(() => Promise.all(begun.values()));
  await (awaited === 0 ? delay(random.between(0, EARLY_MS)) : Promise.race([enough, settled]));
  isKilling = true;
  await cluster.kill(...victims);
  await settled;
  await cluster.restart(...victims);
  return { acknowledged, interrupted: new Set(begun.keys()).difference(acknowledged) };
}
