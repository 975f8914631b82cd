import type { DomainChange } from '@keyfleet/shared/domain/proposal';
import type { Member } from '@keyfleet/shared/domain/state';

/** What the operators have fully signed for the present generation, and nobody has carried out. */
export interface Decided {
  /** Ids of proposals. */
  readonly proposals: ReadonlySet<string>;
  /** Members that are to leave, with those that are named to prepare that. */
  readonly removed: ReadonlyMap<string, ReadonlySet<string>>;
  /**
   * Members that one change leaves alone in the domain, and who are named to prepare it: nobody could compare its token
   * either. One that also admits others is none: it is not made while those who leave are in reach.
   */
  readonly alone: ReadonlySet<string>;
}

interface Ready {
  /** Of its proposal. */
  readonly id: string;
  readonly change: DomainChange;
}

/** `members`: those of the present generation. */
export function decidedBy(ready: readonly Ready[], members: readonly Member[]): Decided {
  const removed = new Map<string, Set<string>>();
  const alone = new Set<string>();
  for (const { change } of ready) {
    if (change.name !== 'ModifyMembers') continue;
    const { preparer, body } = change;
    for (const memberId of body.remove) removed.getOrInsertComputed(memberId, () => new Set<string>()).add(preparer);
    const staying = members.filter(({ memberId }) => !body.remove.includes(memberId));
    if (body.admit.length === 0 && staying.every(({ memberId }) => memberId === preparer)) alone.add(preparer);
  }
  return { proposals: new Set(ready.map(({ id }) => id)), removed, alone };
}
