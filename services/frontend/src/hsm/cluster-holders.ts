/** Callers name clusters that nobody has. Beyond these all is learned again, at a refusal by each member. */
const MAX_CLUSTERS = 1_000;

/** The id alone is a name that any account may write. */
export interface ClusterNames {
  readonly account: string;
  readonly region: string;
  readonly clusterId: string;
}

/** The one name of a cluster: a member has it for one account and Region, and says to all others that it lacks it. */
export function nameOfCluster({ account, region, clusterId }: ClusterNames): string {
  return `${account}/${region}/${clusterId}`;
}

/** Which members have which CloudHSM clusters, known only from members reporting that they lack one. */
export class ClusterHolders {
  readonly #lacking = new Map<string, Set<string>>();

  lacks(cluster: string, memberId: string): void {
    const members = this.#lacking.get(cluster);
    if (members) return void members.add(memberId);
    if (this.#lacking.size >= MAX_CLUSTERS) this.#lacking.clear();
    this.#lacking.set(cluster, new Set([memberId]));
  }

  /** Discards what the member reported before. */
  forget(memberId: string): void {
    for (const [cluster, members] of this.#lacking) {
      members.delete(memberId);
      if (members.size === 0) this.#lacking.delete(cluster);
    }
  }

  /** Members that need not be asked. Undefined: any may be. */
  notBy(cluster: string, others: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
    const lacking = this.#lacking.get(cluster);
    if (lacking === undefined) return others;
    return others === undefined ? lacking : lacking.union(others);
  }
}
