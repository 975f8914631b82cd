import { type DomainChange, parseDomainChange } from '@keyfleet/shared/domain/proposal';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { type DomainState, isMember, type Member } from '@keyfleet/shared/domain/state';
import type { DomainToken } from '@keyfleet/shared/domain/token';
import {
  assertChecked,
  assertHoldsNoOther,
  HeldTokenError,
  isOffChain,
  type Place,
  placeOf,
} from '@keyfleet/shared/domain/token-check';
import { needsWitness, witnessesFor, witnessesOf } from '@keyfleet/shared/domain/witness';
import type { Decided } from './decided.ts';
import type { DomainManagerEvents } from './events.ts';
import type { Proposals } from './proposals.ts';
import { type DistributionDeps, distributeTokens } from './token-distribution.ts';
import { TokenLogError } from './token-log.ts';
import { surveyWorkers, type WorkerView } from './worker-survey.ts';
import { type HsmDescription, type Worker, WorkerRefusedError } from './workers.ts';

/** No member has confirmed the token yet, and none has refused it: it is worth asking again. */
export class UnconfirmedError extends Error {
  override name = 'UnconfirmedError';
}

export interface WitnessDeps {
  /** The state that the token follows; undefined for the founding one. */
  readonly before: DomainState | undefined;
  /** See `Decided`: for what these make, those hold nothing up. */
  readonly removed: Decided['removed'];
  /** A proposal that asks for no witness of what this maker makes in this generation. */
  readonly waiver?: Uint8Array | undefined;
  readonly views: readonly WorkerView[];
  readonly events: DomainManagerEvents;
}

type Described = WorkerView & { readonly description: HsmDescription };

/**
 * The token's witness (`assertWitnessed`), which it may have already: the signature of the first member that opens it.
 * Undefined if it has none. A worker's own description only decides who is asked; what counts is a member's
 * signature. Throws TokenLogError if all that answer refuse it, or if one signs that it holds a token which the store
 * lost, and UnconfirmedError if none in reach can say.
 */
export async function witnessOf(token: DomainToken, deps: WitnessDeps): Promise<Uint8Array | undefined> {
  const { before, waiver } = deps;
  const { state, signerId, proposal, witness } = token;
  const change = parseDomainChange(proposal.command);
  const known = (before ?? state).members;
  await assertNoneHoldsAnother(token, deps);
  if (witness !== undefined || !needsWitness(known, { ...change, version: 3 }, signerId)) return witness;
  const asked = waiver ?? (await askWitnesses(token, change, deps));
  // What was made before an upgrade has no place for it, and is stored on a member's word all the same.
  return needsWitness(known, change, signerId) ? asked : undefined;
}

async function askWitnesses(
  token: DomainToken,
  change: DomainChange,
  { before, views, events }: WitnessDeps,
): Promise<Uint8Array> {
  const { state, signerId, made } = token;
  const place = placeOf(token);
  const members = witnessesOf((before ?? state).members, state.members, signerId);
  const refusals: string[] = [];
  for (const { worker, description } of inReach(members, place.generation - 1, views)) {
    try {
      const check = await worker.check(made);
      assertChecked(check, members, { domain: state.domain, ...place });
      return check;
    } catch (error) {
      events.tokenNotConfirmed(worker, signerId, error);
      if (error instanceof WorkerRefusedError || error instanceof DomainError)
        refusals.push(`${description.memberId}: ${error.message}`);
    }
  }
  if (refusals.length > 0) {
    throw new TokenLogError(`no other member confirms the token that ${signerId} made (${refusals.join('; ')})`);
  }
  throw new UnconfirmedError(
    lacksWitness(change, before, views) ??
      `no member in reach says whether it can open the token that ${signerId} made`,
  );
}

/**
 * What the store lost is not to be made anew: who says that it holds another token is asked to prove it, whoever has
 * confirmed this one. The token's maker too, which may have installed another since.
 */
async function assertNoneHoldsAnother(
  token: DomainToken,
  { before, removed, views, events }: WitnessDeps,
): Promise<void> {
  const { state, signerId, made } = token;
  const place = placeOf(token);
  // Whom the token admits has no past, and whom it removes no say.
  const members = before?.members.filter((one) => isMember(state, one)) ?? [];
  const isToLeave = ({ memberId }: Member): boolean =>
    memberId === signerId ? removed.has(memberId) : removed.get(memberId)?.has(signerId) === true;
  const holders = members.filter((one) => !isToLeave(one));
  for (const { worker, description } of inReach(holders, place.generation - 1, views)) {
    if (!saysThatItIsOffChain(description, place)) continue;
    try {
      assertHoldsNoOther(await worker.check(made), holders, { domain: state.domain, ...place });
    } catch (error) {
      if (!(error instanceof HeldTokenError)) continue;
      events.tokenNotConfirmed(worker, signerId, error);
      throw new TokenLogError(error.message, { cause: error });
    }
  }
}

/** A member that has just started says no hash while the store does not have its token. */
function saysThatItIsOffChain({ generation, tokenHash }: HsmDescription, newest: Place): boolean {
  return isOffChain({ generation, hash: tokenHash }, newest);
}

/** Those of `members` that answer, and say that they have at least the token of that generation. */
function inReach(members: readonly Member[], generation: number, views: readonly WorkerView[]): Described[] {
  return views.filter(
    (view): view is Described =>
      view.description !== undefined &&
      isMember({ members }, view.description) &&
      view.description.generation >= generation,
  );
}

/**
 * Why nobody could witness the token of a change; undefined if somebody can, or need not. It is not made before: a
 * member makes one token of a generation, and would be bound to it.
 */
export function lacksWitness(
  change: DomainChange,
  before: DomainState | undefined,
  views: readonly WorkerView[],
): string | undefined {
  const { preparer } = change;
  const known = before?.members ?? (change.name === 'CreateDomain' ? change.body.members : []);
  if (change.name === 'LeaveDomain' || !needsWitness(known, change, preparer)) return undefined;
  const witnesses = witnessesFor(known, change, preparer);
  if (inReach(witnesses, before?.generation ?? 0, views).length > 0) return undefined;
  if (witnesses.length === 0) return `nobody who stays but ${preparer} has the domain keys: ${OR_WITHOUT}`;
  const names = witnesses.map(({ memberId }) => memberId).join(', ');
  if (before === undefined)
    return `no other member is in reach to confirm what ${preparer} makes: start one of ${names}, or found the domain without them`;
  return `no other member with the newest domain token is in reach to confirm what ${preparer} makes: start one of ${names}. If all are lost, ${OR_WITHOUT}`;
}

const OR_WITHOUT = 'propose the change again with --unwitnessed, for which those must sign who may change the members';

export interface BringDeps extends DistributionDeps {
  readonly workers: readonly Worker[];
  readonly proposals: Pick<Proposals, 'list' | 'decided'>;
}

/**
 * `witnessOf` for a token that somebody brings. A member that restarted, and has not kept its newest token, has no keys
 * to compare until it gets that again.
 */
export async function witnessOfBrought(
  token: DomainToken,
  { workers, proposals, ...deps }: BringDeps,
): Promise<Uint8Array | undefined> {
  const { tokens, events } = deps;
  const before = tokens.head?.state;
  const views = await distributeTokens(await surveyWorkers(workers, tokens.head), deps);
  const { removed } = proposals.decided(await proposals.list());
  return witnessOf(token, { before, removed, views, events });
}
