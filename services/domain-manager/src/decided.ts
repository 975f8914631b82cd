import type { DomainChange } from '@keyfleet/shared/domain/proposal';

/** What the operators have fully signed for the present generation, and nobody has carried out. */
export interface Decided {
  /** Ids of proposals. */
  readonly proposals: ReadonlySet<string>;
  /** Members that are to leave, with those that are named to prepare that. */
  readonly removed: ReadonlyMap<string, ReadonlySet<string>>;
}

interface Ready {
  /** Of its proposal. */
  readonly id: string;
  readonly change: DomainChange;
}

export function decidedBy(ready: readonly Ready[]): Decided {
  const removed = new Map<string, Set<string>>();
  for (const { change } of ready) {
    if (change.name !== 'ModifyMembers') continue;
    const { preparer, body } = change;
    for (const memberId of body.remove) removed.getOrInsertComputed(memberId, () => new Set<string>()).add(preparer);
  }
  return { proposals: new Set(ready.map(({ id }) => id)), removed };
}
