import { isMember, type Member, onlineMembers, type VerifiedDomain } from '@keyfleet/shared/domain/state';

/** What a member has proven to have: the newest that it has shown since the start. */
interface Proven {
  readonly member: Member;
  readonly token: VerifiedDomain;
}

/**
 * Which domain tokens members have proven to have. What somebody proves counts for nothing once he was removed, or
 * marked as offline: whoever still runs as an offline member stands in no count of those who could prove anything.
 */
export class Proofs {
  readonly #follows: (one: VerifiedDomain, other: VerifiedDomain) => boolean;
  #all: readonly Proven[] = [];

  /** `follows`: whether one token is the other, or comes after it in a chain. */
  constructor(follows: (one: VerifiedDomain, other: VerifiedDomain) => boolean) {
    this.#follows = follows;
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  note(member: Member, token: VerifiedDomain): void {
    this.#all = [...this.#all.filter((one) => one.member.memberId !== member.memberId), { member, token }];
  }

  /** A member that has this token. */
  holderOf(token: VerifiedDomain): string | undefined {
    return this.#all.find((one) => this.#follows(one.token, token))?.member.memberId;
  }

  /** The one that follows `from` and precedes all others, or that one. */
  newestAfter(
    from: VerifiedDomain,
    members: readonly Member[],
    precedes: (one: VerifiedDomain, other: VerifiedDomain) => boolean,
  ): VerifiedDomain {
    const after = this.#of(members).filter(({ token }) => this.#follows(token, from));
    return after.reduce((last, { token }) => (precedes(token, last) ? token : last), from);
  }

  /**
   * The newest that so many have proven, or all if there are fewer that it waits for: by its own state, and by those
   * `beside` it, of other chains.
   */
  newestOf(
    members: readonly Member[],
    needed: number,
    beside: (token: VerifiedDomain) => readonly VerifiedDomain[],
    waitsFor: (member: Member) => boolean = () => true,
  ): VerifiedDomain | undefined {
    const proofs = this.#of(members);
    return proofs
      .map(({ token }) => token)
      .filter((token) => {
        const isOffline = isOneOf(token.state.members.filter(({ offline }) => offline === true));
        const provers = proofs.filter((one) => this.#follows(one.token, token) && !isOffline(one));
        const waitedFor = [token, ...beside(token)].map(({ state }) => onlineMembers(state.members).filter(waitsFor));
        return provers.length >= Math.min(needed, Math.max(1, ...waitedFor.map(({ length }) => length)));
      })
      .toSorted((one, other) => other.state.generation - one.state.generation)[0];
  }

  #of(members: readonly Member[]): readonly Proven[] {
    return this.#all.filter(isOneOf(onlineMembers(members)));
  }
}

/** Of one name there may be two. */
function isOneOf(members: readonly Member[]): (proven: Proven) => boolean {
  return ({ member }) => members.some((one) => isMember({ members: [one] }, member));
}

export function isNewer(one: VerifiedDomain | undefined, other: VerifiedDomain): boolean {
  return one !== undefined && one.state.generation > other.state.generation;
}
