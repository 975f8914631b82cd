import { reaches } from '@keyfleet/shared/domain/chain';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import type { Checkpoint } from '@keyfleet/shared/domain/trust-anchor';
import { checkpointOf, type ShownChain } from './shown-chain.ts';

/** A source that shows nothing for this long, or fails, is not waited for, once another has shown all that it has. */
const SILENT_MS = 3_000;
/** Nor is one that shows its chain a token at a time. */
const AT_MOST_MS = 30_000;

/**
 * What a frontend relies on until a member has proven which token it has: nothing before every source has shown its
 * chain, from the founding token to the end. In the middle of the chain members stand that were removed later, and one
 * that is still running would pass for a worker; and one source may stop early, or show another token of a generation
 * than the rest, which its maker made twice.
 */
export class FirstLook {
  readonly #chains: readonly ShownChain[];
  readonly #managers: readonly ShownChain[];
  readonly #checkpoints: readonly Checkpoint[];
  #endedAt = Infinity;
  /** What was agreed last. */
  #before: VerifiedDomain | undefined;
  #problem = 'no verified domain token yet';

  /** Whoever writes Redis may cut the chain in it: it counts beside those of `managers`, and nobody waits for it. */
  constructor(
    chains: readonly ShownChain[],
    managers: readonly ShownChain[],
    checkpoints: readonly (Checkpoint | undefined)[],
  ) {
    this.#chains = chains;
    this.#managers = managers;
    this.#checkpoints = checkpoints.filter((one) => one !== undefined);
  }

  /** Why nothing is relied on. */
  get problem(): string {
    return this.#problem;
  }

  /** The newest token that all show who show their chain to its end. Undefined while `problem` says why. */
  agreed(): VerifiedDomain | undefined {
    if (this.#before === undefined && !this.#isTimeOver()) return undefined;
    const agreed = this.#agreed();
    this.#before = agreed ?? this.#before;
    return agreed;
  }

  #isTimeOver(): boolean {
    const now = performance.now();
    if (this.#managers.some(({ hasEnded }) => hasEnded)) this.#endedAt = Math.min(this.#endedAt, now);
    else if (this.#managers.some(({ isReading }) => isReading)) return false;
    const isSilent = this.#managers
      .filter(({ isReading }) => isReading)
      .every(({ heardAt }) => now - Math.max(heardAt, this.#endedAt) > SILENT_MS);
    return isSilent || now - this.#endedAt > AT_MOST_MS;
  }

  #agreed(): VerifiedDomain | undefined {
    const shown = this.#chains.filter((one) => one.last !== undefined);
    const known = shown.filter(({ last }) => this.#checkpoints.every((lowest) => reaches(last!, lowest)));
    const ended = known
      .filter(({ hasEnded, generation }) => hasEnded && generation > 0)
      .toSorted((one, other) => one.generation - other.generation);
    const [shortest, longest] = ended.some((one) => this.#managers.includes(one)) ? [ended[0], ended.at(-1)] : [];
    // A token after all others may say who was removed, so nothing before it is relied on. Anybody can date one of an
    // earlier generation ahead: it is another chain, of which the checkpoints judge.
    const untaken = (longest === undefined ? shown : known).find(
      (one) => one.untaken !== undefined && one.generation >= (longest?.generation ?? 0),
    );
    if (untaken !== undefined) return this.#without(untaken.untaken!.why);
    if (longest === undefined) return this.#without(this.#tooShort(shown));
    return this.#lastCommon(known, longest, shortest!);
  }

  /** Before the token at which the first chain parts. A member that all leave in tells which one is the domain's. */
  #lastCommon(
    known: readonly ShownChain[],
    longest: ShownChain,
    { generation: shortest }: ShownChain,
  ): VerifiedDomain | undefined {
    let [common, parting] = [shortest, longest];
    for (const other of known) {
      const generation = firstDifference(longest.allHashes, other.allHashes) ?? Infinity;
      if (generation <= common) [common, parting] = [generation - 1, other];
    }
    const last = [...known.map((one) => one.at(common)), this.#before].find(
      (token) => token?.state.generation === common && longest.contains(checkpointOf(token)),
    );
    if (last === undefined && common > 0) for (const one of known) one.recall(common);
    return (
      last ??
      this.#without(
        `${longest.address} and ${parting.address} show two domain tokens ${common + 1}, and nobody the one before: one of them is not to be trusted. 'keyfleet domain checkpoint' writes into the trust anchor which one counts`,
      )
    );
  }

  #tooShort(shown: readonly ShownChain[]): string {
    const generation = Math.max(0, ...shown.map((one) => one.generation));
    const lowest = this.#checkpoints.find((one) => generation < one.generation);
    if (generation === 0 || lowest === undefined) return 'no verified domain token yet';
    return `the domain-managers show domain token ${generation}, but token ${lowest.generation} was known here before`;
  }

  #without(problem: string): undefined {
    this.#problem = problem;
  }
}

/** The generation from which two chains differ; undefined if one is the beginning of the other. */
function firstDifference(one: readonly Uint8Array[], other: readonly Uint8Array[]): number | undefined {
  const at = one.findIndex((hash, i) => Buffer.compare(hash, other[i] ?? hash) !== 0);
  return at < 0 ? undefined : at + 1;
}
