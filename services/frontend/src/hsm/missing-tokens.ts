import { isMember, type Member, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import type { HeardTokens } from './heard-tokens.ts';
import type { DomainProof } from './known-domain.ts';

/** Proof from a member that it has a token which no source shows. */
interface Missing extends DomainProof {
  readonly member: Member;
  /** As `performance.now()`. */
  readonly since: number;
}

/**
 * The tokens that members have proven to have and no source shows. A frontend that is behind, or on a fork, may not
 * know who was removed, so it stops. A lying member can cause this until it is removed. A member that is behind itself
 * causes nothing.
 */
export class MissingTokens {
  readonly #heard: HeardTokens;
  #all: readonly Missing[] = [];

  constructor(heard: HeardTokens) {
    this.#heard = heard;
  }

  note(member: Member, { generation, tokenHash }: DomainProof): void {
    const others = this.#all.filter((one) => one.member.memberId !== member.memberId);
    const before = this.#all.find((one) => one.member.memberId === member.memberId);
    this.#all = [...others, { member, generation, tokenHash, since: before?.since ?? performance.now() }];
  }

  /** To be called whenever a source may have shown more. */
  forgetShown(): void {
    this.#all = this.#all.filter((one) => !this.#heard.shows(one));
  }

  /** Why this state is not to be relied on: what a member of it has had for so many milliseconds is still missing. */
  problemOf({ state }: VerifiedDomain, patienceMs: number): string | undefined {
    const now = performance.now();
    const found = this.#all.find(({ member, since }) => isMember(state, member) && now - since >= patienceMs);
    if (found === undefined) return undefined;
    const { member, generation } = found;
    const newest = this.#heard.generation;
    return generation > newest
      ? `${member.memberId} has domain token ${generation}, but none after ${newest} can be found`
      : `${member.memberId} has another domain token ${generation} than the domain-managers show: the domain is forked`;
  }
}
