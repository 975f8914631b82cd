import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { type DomainState, isMember, type Member } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import { HeldTokenError, isOffChain, type Place, placeOf, verifyCheck } from '@keyfleet/shared/domain/token-check';
import { awaitedWitnesses } from './awaited-witness.ts';
import type { Signed } from '@keyfleet/shared/domain/quorum';
import type { DomainManagerEvents } from './events.ts';
import type { Decided } from './decided.ts';
import type { Proposals } from './proposals.ts';
import { type DistributionDeps, distributeTokens } from './token-distribution.ts';
import { newestMembers, surveyWorkers, type WorkerView } from './worker-survey.ts';
import { type Head, TokenLogError } from './token-log.ts';
import { type HsmDescription, type Worker, WorkerRefusedError } from './workers.ts';

/** No member has confirmed the token yet, and none that counts has refused it: it is worth asking again. */
export class UnconfirmedError extends Error {
  override name = 'UnconfirmedError';
}

export interface WitnessDeps {
  /** The state that the token follows; undefined for the founding one. */
  readonly before: DomainState | undefined;
  /**
   * Members that the operators have decided to remove, and whom they have entrusted with that: for what these make,
   * those hold nothing up where others can tell.
   */
  readonly removed: Decided['removed'];
  readonly alone: Decided['alone'];
  readonly views: readonly WorkerView[];
  /**
   * What it would be stored for: its own proposal, or one that people signed, whose preparer has made this token
   * before.
   */
  readonly proposal: Signed;
  readonly events: DomainManagerEvents;
}

type Described = WorkerView & { readonly description: HsmDescription };

/**
 * Asks other members than the token's maker until one opens it. Anyone can verify a token, whatever is sealed in it;
 * once it is stored, no other token of its generation can be, and a domain whose members cannot open it is finished. A
 * worker's own description only decides who is asked; what counts is a member's signature. Returns that of one who
 * opened it; an empty one if all others are to leave by one change; undefined if nobody is in reach. Throws
 * TokenLogError if all that answer refuse it, or if one signs that it holds a token which the store lost, and
 * UnconfirmedError if one that is reachable does not answer, or lacks the newest keys and nobody else in reach can
 * tell. If none is in reach, as when every worker is lost, it does not wait, unless fewer signed than may change the
 * members.
 */
export async function assertOthersOpen(
  { state, token }: Head,
  { before, removed, alone, views, proposal, events }: WitnessDeps,
): Promise<Buffer | undefined> {
  const parsed = parseToken(token);
  const { signerId } = parsed;
  const place = placeOf(parsed);
  const { others, veterans } = mayWitness(parsed, before);
  const stays = ({ memberId }: Pick<Member, 'memberId'>): boolean => !removed.get(memberId)?.has(signerId);
  if (others.length > 0 && alone.has(signerId)) return NOBODY_TO_ASK;
  const { asked, members, late } = witnessesFor(place, { others, veterans, views });
  const admits = others.length > veterans.length;
  const comparing = members === veterans && asked.length + late.length > 0;
  const silent = awaitedWitnesses(proposal, { before, maker: signerId, admits, views });
  if (before !== undefined && admits && !comparing) {
    assertNobodyLeaves(newestMembers(views, before), parsed);
    assertNobodyIsAwaited([], silent);
  }
  const holders = before === undefined ? [] : veterans.filter(stays);
  // Or a maker that lies would keep the others from giving back what they hold of it.
  if (!removed.has(signerId)) await assertMakerHoldsIt({ state, token }, { place, signerId, views });
  const refusals: string[] = [];
  const leaving: string[] = [];
  let unanswered: unknown;
  let confirmed: Buffer | undefined;
  for (const { worker, description } of asked) {
    // The others may have missed what it holds, such as a removal.
    if (confirmed !== undefined && !saysOther(description, place)) return confirmed;
    try {
      const check = await worker.check(token);
      // Whom the token admits has no past: it holds nothing that the store lost.
      verifyCheck(check, members, { domain: state.domain, ...place }, holders);
      confirmed = Buffer.from(check);
    } catch (error) {
      events.tokenNotConfirmed(worker, signerId, error);
      if (error instanceof HeldTokenError) throw new TokenLogError(error.message, { cause: error });
      const { memberId } = description;
      if (!stays(description)) leaving.push(memberId);
      else if (error instanceof WorkerRefusedError || error instanceof DomainError)
        refusals.push(`${memberId}: ${error.message}`);
      else unanswered = error;
    }
  }
  if (confirmed !== undefined) return confirmed;
  if (unanswered !== undefined) {
    throw new UnconfirmedError('a reachable member does not say whether it can open the token', {
      cause: unanswered,
    });
  }
  if (refusals.length > 0) {
    throw new TokenLogError(`no other member confirms the token that ${signerId} made (${refusals.join('; ')})`);
  }
  // It may be honest, and the maker not.
  if (leaving.length > 0) {
    throw new UnconfirmedError(
      `${leaving.join(', ')}, about to leave, denies the token that ${signerId} made, and nobody else in reach can tell. If you trust ${signerId}, stop the other, or take it out of hsmWorkers`,
    );
  }
  assertNobodyIsAwaited(late, silent);
  return undefined;
}

function assertNobodyIsAwaited(late: readonly Described[], silent: readonly string[]): void {
  if (late.length > 0) {
    const names = late.map(({ description }) => description.memberId).join(', ');
    throw new UnconfirmedError(
      `${names} must take the newest domain token first: nobody else in reach can confirm one`,
    );
  }
  if (silent.length > 0) {
    throw new UnconfirmedError(
      `nobody in reach can confirm the token, and ${silent.join(', ')} does not answer: start it, or take it out of hsmWorkers`,
    );
  }
}

/** It witnesses no token of its own, but may have installed another since it made this one. */
async function assertMakerHoldsIt(
  { state, token }: Pick<Head, 'state' | 'token'>,
  { place, signerId, views }: { place: Place; signerId: string; views: readonly WorkerView[] },
): Promise<void> {
  const members = state.members.filter(({ memberId }) => memberId === signerId);
  for (const { worker, description } of views) {
    if (description === undefined || !isMember({ members }, description) || !saysOther(description, place)) continue;
    try {
      verifyCheck(await worker.check(token), members, { domain: state.domain, ...place });
    } catch (error) {
      if (error instanceof HeldTokenError) throw new TokenLogError(error.message, { cause: error });
    }
  }
}

/** What operators are to do who would admit members and remove all that could compare the keys. */
export function inTwoChanges(leaving: readonly HsmDescription[]): string {
  const names = leaving.map(({ memberId }) => memberId).join(', ');
  return `nobody in reach who stays could compare the domain keys of the token: admit the new members first, and remove ${names} by another change. If you do not trust ${names}, remove first, or take the address out of hsmWorkers`;
}

/**
 * Nothing in a token is sealed for those who leave, so they cannot compare their keys with it; whom it admits has none
 * to compare. Its maker could replace all keys, where those who leave would see to it in two changes.
 */
export function assertNobodyLeaves(
  newest: readonly HsmDescription[],
  { signerId, state }: Pick<DomainToken, 'signerId' | 'state'>,
): void {
  const leaving = newest.filter((one) => one.memberId !== signerId && !isMember(state, one));
  if (leaving.length > 0) throw new TokenLogError(inTwoChanges(leaving));
}

/** Who may witness the token, and those of them that were members before. */
export function mayWitness({ signerId, state }: DomainToken, before: DomainState | undefined) {
  const others = state.members.filter(({ memberId }) => memberId !== signerId);
  const veterans = others.filter((member) => before === undefined || isMember(before, member));
  return { others, veterans };
}

/** A member that has just started says no hash while the store does not have its token. */
function saysOther({ generation, tokenHash }: HsmDescription, newest: Place): boolean {
  return isOffChain({ generation, hash: tokenHash }, newest);
}

interface Candidates {
  readonly others: readonly Member[];
  /** Those of `others` that were members before. */
  readonly veterans: readonly Member[];
  readonly views: readonly WorkerView[];
}

interface Witnesses {
  readonly asked: readonly Described[];
  /** Whose signatures count. */
  readonly members: readonly Member[];
  /** Who is in reach and has not even the token before, if no veteran is asked. */
  readonly late: readonly Described[];
}

function witnessesFor(newest: Place, { others, veterans, views }: Candidates): Witnesses {
  const inReach = views.filter(
    (view): view is Described => view.description !== undefined && isMember({ members: others }, view.description),
  );
  const isVeteran = ({ description }: Described): boolean => isMember({ members: veterans }, description);
  const ready = inReach.filter(({ description }) => description.generation >= newest.generation - 1);
  const comparing = ready.filter(isVeteran);
  // Who says that it holds another token is asked first, and proves it: what the store lost is not to be made anew.
  const asked = comparing.toSorted(
    (one, other) => Number(saysOther(other.description, newest)) - Number(saysOther(one.description, newest)),
  );
  if (asked.length > 0) return { asked, members: veterans, late: [] };
  // The maker may have seen to it that they are late: the token before may open for all but these. Of two members,
  // neither waits for the other.
  const late = veterans.length > 1 ? inReach.filter((one) => isVeteran(one) && !ready.includes(one)) : [];
  if (late.length > 0) return { asked: [], members: veterans, late };
  // Whom this token admits has no keys to compare it with, so it is asked only where no member from before is in reach.
  return { asked: ready, members: others, late };
}

/** The operators have judged all that could deny the token. */
const NOBODY_TO_ASK = Buffer.of();

export interface ConfirmDeps extends DistributionDeps {
  readonly workers: readonly Worker[];
  readonly proposals: Pick<Proposals, 'list' | 'decided'>;
}

/**
 * The same for a token that somebody brings. A member that has just restarted has no keys to compare until it gets the
 * newest token again, and whoever brings this one may have waited for that.
 */
export async function assertOthersConfirm(
  next: Head,
  { workers, proposals, ...deps }: ConfirmDeps,
): Promise<Buffer | undefined> {
  const { tokens, events } = deps;
  const { head } = tokens;
  const views = await distributeTokens(await surveyWorkers(workers, head), deps);
  const { removed, alone } = proposals.decided(await proposals.list());
  const { proposal } = parseToken(next.token);
  return assertOthersOpen(next, { before: head?.state, removed, alone, views, proposal, events });
}
