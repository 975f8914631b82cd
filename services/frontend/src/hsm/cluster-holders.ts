/** Which members have which CloudHSM clusters, as far as they have said that they lack one. */
export class ClusterHolders {
  readonly #lacking = new Map<string, Set<string>>();

  lacks(clusterId: string, memberId: string): void {
    const members = this.#lacking.get(clusterId);
    if (members) members.add(memberId);
    else this.#lacking.set(clusterId, new Set([memberId]));
  }

  /** What it said before counts no more. */
  forget(memberId: string): void {
    for (const [clusterId, members] of this.#lacking) {
      members.delete(memberId);
      if (members.size === 0) this.#lacking.delete(clusterId);
    }
  }

  /** Members that need not be asked. Undefined: everyone may be. */
  notBy(clusterId: string, others: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
    const lacking = this.#lacking.get(clusterId);
    if (lacking === undefined) return others;
    return others === undefined ? lacking : lacking.union(others);
  }
}
