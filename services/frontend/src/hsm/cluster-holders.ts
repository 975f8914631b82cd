/** Callers name clusters that nobody has. Beyond these all is learned again, at a refusal by each member. */
const MAX_CLUSTERS = 1_000;

/** Which members have which CloudHSM clusters, known only from members reporting that they lack one. */
export class ClusterHolders {
  readonly #lacking = new Map<string, Set<string>>();

  lacks(clusterId: string, memberId: string): void {
    const members = this.#lacking.get(clusterId);
    if (members) return void members.add(memberId);
    if (this.#lacking.size >= MAX_CLUSTERS) this.#lacking.clear();
    this.#lacking.set(clusterId, new Set([memberId]));
  }

  /** Discards what the member reported before. */
  forget(memberId: string): void {
    for (const [clusterId, members] of this.#lacking) {
      members.delete(memberId);
      if (members.size === 0) this.#lacking.delete(clusterId);
    }
  }

  /** Members that need not be asked. Undefined: any may be. */
  notBy(clusterId: string, others: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
    const lacking = this.#lacking.get(clusterId);
    if (lacking === undefined) return others;
    return others === undefined ? lacking : lacking.union(others);
  }
}
