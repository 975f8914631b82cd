import { isMember, type Member, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainProof, isProofOf } from './known-domain.ts';
import { isNewer } from './proofs.ts';
import { checkpointOf, type ShownChain } from './shown-chain.ts';

/** What all sources show together. A chain counts if it goes on from the token that is relied on. */
export class HeardTokens {
  readonly #chains: readonly ShownChain[];
  #tails: readonly ShownChain[] = [];
  #ends: readonly ShownChain[] = [];

  constructor(chains: readonly ShownChain[]) {
    this.#chains = chains;
  }

  /** To be called whenever a chain may have changed, too. */
  countFrom(relied: VerifiedDomain | undefined): void {
    this.#tails = relied === undefined ? [] : this.#chains.filter((chain) => chain.contains(checkpointOf(relied)));
    const byLength = this.#tails.toSorted((one, other) => other.generation - one.generation);
    const ends = byLength.filter(
      (one, i) => !byLength.slice(0, i).some((longer) => longer.contains(checkpointOf(one.newest!))),
    );
    const counts = (one: ShownChain, other: ShownChain) => one.isOfPeopleBeside(other) || !other.isOfPeopleBeside(one);
    this.#ends = ends.filter((one) => ends.every((other) => counts(one, other)));
  }

  /** The newest that is shown. */
  get generation(): number {
    return Math.max(0, ...this.#tails.map(({ generation }) => generation));
  }

  /**
   * The chains that are shown, without those that another one goes on from: one that ends early says nothing. Nor does
   * one of rotations and retirements alone since it parted from another that people changed.
   */
  get ends(): readonly ShownChain[] {
    return this.#ends;
  }

  /** Those in which people changed something after this generation. */
  endsOfPeople(after: number): readonly ShownChain[] {
    return this.ends.filter((end) => end.isOfPeople(after));
  }

  /**
   * Tells who is out: whom a chain lacks that people changed since it parted from every other chain which has him. One
   * of rotations and retirements alone since then says nothing about him.
   */
  whoIsOut(): (member: Member) => boolean {
    const { ends } = this;
    const judges = ends.map((end) => ends.map((other) => end.isOfPeopleBeside(other)));
    return (member) => {
      const has = ends.map(({ newest }) => isMember(newest!.state, member));
      return judges.some((judged, i) => !has[i] && judged.every((isJudged, j) => isJudged || !has[j]));
    };
  }

  /** Whether `one` counts rather than `other`, both of which members have proven: in a chain that counts, or newer. */
  precedes(one: VerifiedDomain, other: VerifiedDomain): boolean {
    const [counts, otherCounts] = [one, other].map((token) =>
      this.ends.some((end) => end.contains(checkpointOf(token))),
    );
    return counts === otherCounts ? isNewer(one, other) : counts!;
  }

  /** The newest tokens of those in which this one is not. */
  besides(token: VerifiedDomain, relied: VerifiedDomain): readonly VerifiedDomain[] {
    const others = this.endsOfPeople(relied.state.generation).filter((end) => !end.contains(checkpointOf(token)));
    return others.map(({ newest }) => newest!);
  }

  /** The chains that show more than this token. */
  after({ state }: VerifiedDomain): readonly ShownChain[] {
    return this.#tails.filter(({ generation }) => generation > state.generation);
  }

  /** What comes after all others and is not taken. */
  get untaken(): ShownChain['untaken'] {
    const { generation: newest } = this;
    return this.#tails.find(({ untaken, generation }) => untaken !== undefined && generation >= newest)?.untaken;
  }

  /** The newest token after this one that removes somebody, or this one. */
  newestRemoval(relied: VerifiedDomain): VerifiedDomain {
    return this.#tails.reduce((last, { removal }) => (isNewer(removal, last) ? removal! : last), relied);
  }

  /** Whether somebody shows a chain in which `one` is the other token, or comes after it. */
  follows(one: VerifiedDomain, other: VerifiedDomain): boolean {
    const both = [one, other].map(checkpointOf);
    return !isNewer(other, one) && this.#tails.some((tail) => both.every((token) => tail.contains(token)));
  }

  shows({ generation, tokenHash: hash }: DomainProof): boolean {
    return this.#tails.some((tail) => tail.contains({ generation, hash }));
  }

  /** The state that this proof is of: one that is relied on or may be, and after which nobody was removed. */
  find(proof: DomainProof, relied: VerifiedDomain): VerifiedDomain | undefined {
    const { generation, tokenHash: hash } = proof;
    if (generation < relied.state.generation) return undefined;
    const tails = this.#tails.filter((tail) => tail.contains({ generation, hash }));
    if (tails.some(({ removal }) => removal !== undefined && removal.state.generation > generation)) return undefined;
    return isProofOf(relied, proof)
      ? relied
      : tails.map((tail) => tail.at(generation)).find((one) => one !== undefined);
  }

  /** Indexed by generation - 1; others may follow. */
  hashesUpTo(token: VerifiedDomain): readonly Uint8Array[] {
    return this.#chains.find((chain) => chain.contains(checkpointOf(token)))!.allHashes;
  }

  /**
   * Has every chain that parted before this token go on from it, and returns those that showed another in its place. A
   * chain that merely ends before it is to show it by itself: until then its source may lack it.
   */
  allGoOnFrom(next: VerifiedDomain): readonly ShownChain[] {
    const token = checkpointOf(next);
    const whole = this.#chains.find((chain) => chain.contains(token))!;
    const parted = ({ newest }: ShownChain): boolean => newest !== undefined && !whole.contains(checkpointOf(newest));
    const others = this.#chains.filter((chain) => !chain.contains(token) && parted(chain));
    const different = others.filter(({ generation }) => generation >= token.generation);
    for (const chain of others) chain.goOnFrom(next, whole);
    return different;
  }
}
