import { isMember, isOfOne, type Member, onlineMembers, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import type { HeardTokens } from './heard-tokens.ts';
import type { Proofs } from './proofs.ts';

export interface ChosenToken {
  /** Its state is without those members that another token removes. */
  readonly token: VerifiedDomain;
  /** See `KnownDomain.provers`. */
  readonly provers: readonly Member[];
  /** As its whole state and every other chain say: somebody may be admitted whom no member has proven yet. */
  readonly isOfOne: boolean;
}

/**
 * Of all that is heard after the token that is relied on, the one that counts. The last removal that was heard takes
 * effect at once, and whoever is removed by any is not used. Whom a chain merely lacks that a domain-manager can have
 * had made before he was admitted, that does not remove.
 */
export function chooseToken(relied: VerifiedDomain, heard: HeardTokens, proofs: Proofs): ChosenToken {
  const { ends } = heard;
  const isOut = heard.whoIsOut();
  const isUsed = (one: Member): boolean => !isOut(one);
  const byPeople = heard.endsOfPeople(relied.state.generation).map((end) => end.newest!);
  const removed = heard.newestRemoval(relied);
  const admitted = [removed, ...byPeople].flatMap(({ state }) => state.members).filter(isUsed);
  const proven = proofs.newestAfter(removed, admitted, (one, other) => heard.precedes(one, other));
  // Whoever was admitted last may be the only one to ask.
  const newest = proofs.isEmpty && ends.length === 1 ? ends[0]!.newest! : proven;
  const members = newest.state.members.filter(isUsed);
  return {
    token: members.length === newest.state.members.length ? newest : { ...newest, state: { ...newest.state, members } },
    provers: onlineMembers([...members, ...admitted]),
    isOfOne: [newest, ...byPeople].every(({ state }) => isOfOne(state)),
  };
}

/** By its keys: of one name there may be two. */
export function mayProve({ provers }: ChosenToken, member: Member): boolean {
  return provers.some((one) => isMember({ members: [one] }, member));
}
