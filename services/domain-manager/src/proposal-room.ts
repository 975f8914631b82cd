import type { StoredProposal } from './store/store.ts';

/** How many proposals may wait. */
export const PLACES = 64;
/** A larger command takes several places: a list of all is 3 MiB, and a gRPC client accepts 4 MiB. */
const PLACE_BYTES = 48 * 1024;

export type Waiting = Pick<StoredProposal, 'proposalId' | 'command' | 'signatures'>;

/**
 * Which of those that are stored are dropped, so that `next` has room; undefined if it has none. First what is carried
 * out no more (`ended`, oldest first), then the newest of those who hold the most places.
 *
 * However many operators below a quorum work together, they must not keep the others from proposing their removal, nor
 * from reading it. A place counts against each who signed for it, and a proposal has the right of that signer who holds
 * the fewest: so nobody puts another's proposal at a disadvantage by signing it too.
 */
export function makeRoom<T extends Waiting>(next: Waiting, live: readonly T[], ended: readonly T[]): T[] | undefined {
  const dropped: T[] = [];
  const endedLeft = [...ended];
  let liveLeft = [...live];
  while (!hasRoom(next, [...liveLeft, ...endedLeft])) {
    const drop = endedLeft.shift() ?? greediest(next, liveLeft);
    if (drop === undefined) return undefined;
    dropped.push(drop);
    liveLeft = liveLeft.filter((one) => one !== drop);
  }
  return dropped;
}

/** `live`: oldest first. Undefined if it is `next`, the newest of all. */
function greediest<T extends Waiting>(next: Waiting, live: readonly T[]): T | undefined {
  const held = new Map<string, number>();
  for (const one of [next, ...live])
    for (const { operatorId } of one.signatures) held.set(operatorId, (held.get(operatorId) ?? 0) + placesOf([one]));
  const heldBy = ({ signatures }: Waiting): number =>
    Math.min(...signatures.map(({ operatorId }) => held.get(operatorId)!));
  const most = live.toReversed().toSorted((a, b) => heldBy(b) - heldBy(a))[0];
  return most !== undefined && heldBy(most) > heldBy(next) ? most : undefined;
}

export function hasRoom(next: Waiting, others: readonly Waiting[]): boolean {
  return placesOf([next, ...others]) <= PLACES;
}

function placesOf(proposals: readonly Waiting[]): number {
  return proposals.reduce((sum, { command }) => sum + Math.max(1, Math.ceil(command.length / PLACE_BYTES)), 0);
}
