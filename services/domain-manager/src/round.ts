import type { Clock } from '@keyfleet/shared/clock';
import type { DomainChange, Proposal, Signer } from '@keyfleet/shared/domain/proposal';
import { verifyProposal } from '@keyfleet/shared/domain/quorum';
import { activeDomainKey, type DomainState, domainKeysToRetire, hasRoomToRotate } from '@keyfleet/shared/domain/state';
import type { Notices } from '@keyfleet/shared/notices';
import { isSettled, latenessOf } from './changeover.ts';
import type { DueWork } from './due-work.ts';
import type { DomainManagerEvents } from './events.ts';
import { executeLeave, executeProposal, type ExecuteDeps, leaversOf, ProposalFailedError } from './execute.ts';
import { HeldToken } from './held-token.ts';
import { distributeTokens } from './token-distribution.ts';
import { surveyWorkers, type WorkerView } from './worker-survey.ts';
import type { Proposals } from './proposals.ts';
import { provesRetirement, type ResealPasses } from './reseal-passes.ts';
import {
  isTooLate,
  mayAlone,
  nextRotationAt,
  preparersOf,
  scheduled,
  type ScheduledChange,
} from './scheduled-changes.ts';
import type { Sightings } from './sightings.ts';
import type { ProposalStore, StoredProposal } from './store/store.ts';
import type { Head, TokenLog } from './token-log.ts';
import type { Worker } from './workers.ts';

export interface RoundDeps {
  readonly tokens: TokenLog;
  readonly store: ProposalStore;
  readonly proposals: Proposals;
  readonly resealing: ResealPasses;
  readonly sightings: Pick<Sightings, 'keep' | 'seenAt' | 'seenForMs'>;
  readonly dueWork: Pick<DueWork, 'ask'>;
  readonly workers: readonly Worker[];
  readonly notices: Pick<Notices, 'publish'>;
  readonly clock: Clock;
  readonly events: DomainManagerEvents;
  readonly scheduler: Signer;
  readonly rotateEveryMs: number;
}

/**
 * A refusal is not signed, so it ends no proposal. Often enough for people who wait; 64 proposals then make one call a
 * second.
 */
const ASK_AGAIN_MS = 60_000;

/**
 * One round of the leader: compares the store with what the members hold, and takes the next step. It keeps no state
 * that matters between rounds, so a leader may die at any point and another continues.
 */
export class Round {
  readonly #deps: RoundDeps;
  #views: readonly WorkerView[] = [];
  #announced = 0;
  /** When this replica last stored a new domain key. Lost with the replica, which costs at most one rotation. */
  #rotatedAt = -Infinity;
  /**
   * When a proposal was last refused, and with how many signatures, by its id. Lost with the replica, which costs one
   * more try.
   */
  readonly #refused = new Map<string, { readonly at: number; readonly signatures: number }>();
  /** Which members were logged as late for which domain key. */
  readonly #named = new Set<string>();

  readonly #held: HeldToken;

  constructor(deps: RoundDeps) {
    this.#deps = deps;
    this.#held = new HeldToken(deps);
  }

  /** The workers after this replica's last round; empty before the first. */
  get views(): readonly WorkerView[] {
    return this.#views;
  }

  async run(): Promise<void> {
    const { tokens, workers, dueWork } = this.#deps;
    // First, and not awaited: customers' deletions and rotations depend on no step of the domain.
    void dueWork.ask();
    await tokens.refresh();
    this.#views = await surveyWorkers(workers, tokens.head);
    await this.#distribute();
    // All of them, before anything is made in the place of one.
    while (await this.#held.store(this.#views)) await this.#surveyAndDistribute();
    await this.#executeReady();
    await this.#rotateWhenDue();
    await this.#reseal();
    await this.#retireWhenProven();
  }

  /** Not awaited: without NATS, services find the token by polling. Repeated after a restart, which is harmless. */
  async #announce(): Promise<void> {
    const { generation } = this.#deps.tokens;
    if (generation <= this.#announced) return;
    const before = this.#announced;
    this.#announced = generation;
    if (!(await this.#deps.notices.publish('domainToken', { generation }))) this.#announced = before;
  }

  async #distribute(): Promise<void> {
    void this.#announce();
    this.#views = await distributeTokens(this.#views, this.#deps);
  }

  async #executeReady(): Promise<void> {
    const { store, proposals, tokens, clock, events } = this.#deps;
    const waiting = await proposals.list();
    const decided = proposals.decided(waiting);
    for (const id of this.#refused.keys())
      if (!waiting.some(({ proposalId }) => proposalId === id)) this.#refused.delete(id);
    for (const stored of waiting) {
      const standing = proposals.provenStandingOf(stored);
      if (standing.standing !== 'ready' || this.#hasLeft(standing.change, stored)) continue;
      if (this.#wasJustRefused(stored)) continue;
      const proposal = { command: stored.command, signatures: [...stored.signatures] };
      const { generation } = tokens;
      let hasLeft = false;
      try {
        const { change } = standing;
        if (change.name !== 'LeaveDomain')
          await executeProposal(change, proposal, {
            views: this.#views,
            tokens,
            decided,
            takesAny: removes(change),
            events,
          });
        else {
          hasLeft = await executeLeave(change.body.memberId, proposal, { views: this.#views, events });
          if (hasLeft) await store.setDone(stored.proposalId);
        }
      } catch (error) {
        if (!(error instanceof ProposalFailedError)) throw error;
        this.#refused.set(stored.proposalId, { at: clock.now(), signatures: stored.signatures.length });
        if (!this.#mayBeAway(standing.change)) await store.setFailure(stored.proposalId, error.message);
      }
      // A maker that was bound to a rotation until people signed a removal dated that long ago. It would be bound to
      // the next one at once, before they could sign the removal again.
      if (tokens.generation > generation && makesNewestKey(tokens)) this.#rotatedAt = clock.now();
      // It may take half a minute, and 64 proposals may wait for a member that is away.
      if (hasLeft || tokens.generation > generation) await this.#surveyAndDistribute();
    }
  }

  /** Whether the member that it names may not have been asked, and who was asked in its place be a liar. */
  #mayBeAway({ preparer }: DomainChange): boolean {
    const { generation } = this.#deps.tokens;
    return this.#views.some(
      ({ standing, description }) =>
        standing === 'unreachable' || (description?.memberId === preparer && description!.generation < generation),
    );
  }

  /** With more signatures it may be taken: some rules ask for fewer people than a member does. */
  #wasJustRefused({ proposalId, signatures }: StoredProposal): boolean {
    const refused = this.#refused.get(proposalId);
    if (refused === undefined || refused.signatures !== signatures.length) return false;
    const since = this.#deps.clock.now() - refused.at;
    return since >= 0 && since < ASK_AGAIN_MS;
  }

  /** By the store and by what is seen: a member that is still there is told again. */
  #hasLeft(change: DomainChange, { done }: StoredProposal): boolean {
    return done === true && change.name === 'LeaveDomain' && leaversOf(change.body.memberId, this.#views).length === 0;
  }

  async #rotateWhenDue(): Promise<void> {
    const { tokens, clock, rotateEveryMs } = this.#deps;
    const { head } = tokens;
    if (head === undefined) return;
    const now = clock.now();
    if (now < nextRotationAt(head.state, rotateEveryMs) || !this.#isSettled(head.state)) return;
    // Otherwise a preparer that backdates its tokens would be asked for the next one at once, until the domain is full.
    // If `now` is earlier than the last rotation, a clock was wrong.
    if (now >= this.#rotatedAt && now < this.#rotatedAt + rotateEveryMs) return;
    // The doctor says what to do about it.
    if (!hasRoomToRotate(head.state)) return;
    await this.#carryOut(head, { name: 'RotateDomainKeys', body: {} });
    if (tokens.generation > head.state.generation) this.#rotatedAt = now;
  }

  /**
   * After a removal: once nothing that counts is sealed under the keys that the former member may hold, they open
   * nothing any more.
   */
  async #retireWhenProven(): Promise<void> {
    const { tokens, resealing, sightings } = this.#deps;
    const { head } = tokens;
    const ids = head === undefined ? [] : domainKeysToRetire(head.state).map(({ id }) => id);
    if (head === undefined || ids.length === 0) return;
    const progress = await resealing.find(head.state);
    if (progress === undefined || !provesRetirement(head.state, progress, sightings)) return;
    await this.#carryOut(head, { name: 'RetireDomainKeys', body: { ids } });
  }

  /**
   * Carries out a change that the scheduler signs, if the rules allow it. The first member that can makes the token.
   */
  async #carryOut(head: Head, change: ScheduledChange): Promise<void> {
    const { tokens, proposals, scheduler, clock, rotateEveryMs, events } = this.#deps;
    if (!mayAlone(scheduler, change.name, head.state)) return;
    if (isTooLate(head.state, rotateEveryMs, clock.now())) return events.isLate(change.name, head.state.madeAt);
    const asked = preparersOf(head, this.#views).map((preparer) => scheduled(head, { change, scheduler, preparer }));
    const decided = proposals.decided(await proposals.list());
    // Those that have made the token of another change come last, and then with that one: nobody could go on otherwise.
    const bound: Proposal[] = [];
    const isOver = async (proposal: Proposal, takesAny: boolean): Promise<boolean> => {
      const failure = await this.#makeScheduled(head, proposal, { decided, takesAny });
      if (failure?.isBound) bound.push(proposal);
      // Whoever else is asked would only be bound to this change.
      return failure?.isHeldUp === true || tokens.generation > head.state.generation;
    };
    for (const proposal of asked) if (await isOver(proposal, false)) return this.#surveyAndDistribute();
    for (const proposal of bound) if (await isOver(proposal, true)) break;
    await this.#surveyAndDistribute();
  }

  async #makeScheduled(
    head: Head,
    proposal: Proposal,
    how: Pick<ExecuteDeps, 'decided' | 'takesAny'>,
  ): Promise<ProposalFailedError | undefined> {
    const { tokens, events } = this.#deps;
    try {
      await executeProposal(verifyProposal(head, proposal), proposal, { views: this.#views, tokens, events, ...how });
      return undefined;
    } catch (error) {
      // Already logged.
      if (error instanceof ProposalFailedError) return error;
      throw error;
    }
  }

  async #reseal(): Promise<void> {
    const { tokens, resealing, sightings } = this.#deps;
    const state = tokens.head?.state;
    if (state === undefined) return;
    await sightings.keep(state);
    this.#nameThoseBehind(state);
    if (this.#isSettled(state)) await resealing.advance(state, sightings);
  }

  #isSettled(state: DomainState): boolean {
    return isSettled(state, this.#views, this.#waitedFor(state));
  }

  #waitedFor(state: DomainState): number {
    return this.#deps.sightings.seenForMs(activeDomainKey(state).createdGeneration);
  }

  #nameThoseBehind(state: DomainState): void {
    for (const view of this.#views) {
      const problem = latenessOf(state, view, this.#waitedFor(state));
      const once = `${view.worker.address}/${activeDomainKey(state).createdGeneration}`;
      if (problem === undefined || this.#named.has(once)) continue;
      this.#named.add(once);
      this.#deps.events.memberIsLate(view.worker, problem);
    }
  }

  async #surveyAndDistribute(): Promise<void> {
    this.#views = await surveyWorkers(this.#deps.workers, this.#deps.tokens.head);
    await this.#distribute();
  }
}

/** Whoever is to leave may have the only other member bound to a change that was withdrawn. */
function removes(change: DomainChange): boolean {
  return change.name === 'ModifyMembers' && change.body.remove.length > 0;
}

function makesNewestKey({ head }: TokenLog): boolean {
  return head !== undefined && activeDomainKey(head.state).createdGeneration === head.state.generation;
}
