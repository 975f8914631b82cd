import { type DomainChange, parseDomainChange, Proposal, proposalId } from '@keyfleet/shared/domain/proposal';
import { parseToken } from '@keyfleet/shared/domain/token';
import { type Awaiting, awaitedWitnesses } from './awaited-witness.ts';
import type { Signed } from '@keyfleet/shared/domain/quorum';
import type { DomainManagerEvents } from './events.ts';
import { newestMembers, type WorkerView } from './worker-survey.ts';
import { type Head, type TokenLog, TokenLogError } from './token-log.ts';
import { HeldTokenError } from '@keyfleet/shared/domain/token-check';
import type { Decided } from './decided.ts';
import { assertOthersOpen, inTwoChanges } from './witness.ts';
import { type Worker, WorkerRefusedError } from './workers.ts';

export interface ExecuteDeps {
  readonly views: readonly WorkerView[];
  readonly tokens: TokenLog;
  readonly decided: Decided;
  /**
   * Whether the token of any other change is taken too: a member makes one token of a generation, and may have made it
   * for a change that was withdrawn or expired. Default: that of a proposal which is decided, or a rotation.
   */
  readonly takesAny?: boolean;
  readonly events: DomainManagerEvents;
}

/** Every worker that could be asked refused. None of them signs that: one that lies may have been asked alone. */
export class ProposalFailedError extends Error {
  override name = 'ProposalFailedError';
  /** Whether a member signed that it holds another token. */
  readonly isHeldUp: boolean;
  /** Whether a member has made the token of this generation for another change. */
  readonly isBound: boolean;

  constructor(message: string, refusals: readonly Error[]) {
    super(message);
    this.isHeldUp = refusals.some(({ cause }) => cause instanceof HeldTokenError);
    this.isBound = refusals.some((error) => error instanceof OtherChangeError);
  }
}

/** The member has made the token of this generation for another change. */
class OtherChangeError extends TokenLogError {}

/**
 * Has the member that a fully signed proposal names make its token, and stores the token. If this is killed before the
 * store has the token, nothing has changed; after that, every round brings it to the members. Throws
 * ProposalFailedError if all that were asked refused. Returns normally when it is done, or worth another try at once.
 */
export async function executeProposal(change: DomainChange, proposal: Proposal, deps: ExecuteDeps): Promise<void> {
  const { views, tokens, events } = deps;
  // Whoever made the token would be bound to it.
  if (uncompared(change, deps) !== undefined) return;
  const silent = awaitedWitnesses(proposal, awaiting(change, deps));
  if (silent.length > 0) return events.changeWaits(change.name, silent);
  // What a worker says of itself is not signed: one that lies must not be asked in place of the member that it names.
  const asked = views.filter((view) => mayPrepare(view, change, tokens));
  const refusals = new Map<Error, string>();
  for (const { worker } of asked) {
    try {
      return await haveMade(worker, proposal, deps);
    } catch (error) {
      events.tokenNotMade(worker, change.name, error);
      if (!(error instanceof WorkerRefusedError || error instanceof TokenLogError)) continue;
      refusals.set(error, `${worker.address}: ${error.message}`);
    }
  }
  if (asked.length === 0 || refusals.size < asked.length) return;
  throw new ProposalFailedError(`${[...refusals.values()].join('; ')}. ${AGAIN}. ${ANOTHER}`, [...refusals.keys()]);
}

async function haveMade(worker: Worker, proposal: Proposal, deps: ExecuteDeps): Promise<void> {
  const { views, tokens, decided, takesAny, events } = deps;
  const token = await worker.prepare(Proposal.encode(proposal), tokens.head?.token);
  // False: another replica was faster, perhaps with the same proposal. The next round reads what it stored.
  const confirm = (next: Head): Promise<Buffer | undefined> => {
    const isWanted = [proposalId(proposal), ...decided.proposals].includes(next.proposalId);
    // Nobody has reason to withdraw that, and in a fleet of which one is left nobody else can go on.
    const isRotation = parseDomainChange(parseToken(next.token).proposal.command).name === 'RotateDomainKeys';
    if (!isWanted && !isRotation && takesAny !== true)
      throw new OtherChangeError('it has made the token of another change for this generation');
    return assertOthersOpen(next, { before: tokens.head?.state, ...decided, views, proposal, events });
  };
  if (!(await tokens.append(token, confirm))) return;
  // A member that already made a token of this generation from another proposal returns that one.
  const made = parseToken(token).proposal;
  const signers = made.signatures.map(({ operatorId }) => operatorId);
  const { name } = parseDomainChange(made.command);
  events.tokenStored(tokens.generation, name, signers);
}

const AGAIN =
  'It is tried again each minute until it expires or the domain changes, and at once when one more signs it';
const ANOTHER = 'Or propose the change again, with another --preparer';

/** Why a fully signed proposal is not being carried out; undefined if it is about to be. */
export function waitsFor(
  change: DomainChange,
  proposal: Signed,
  { views, tokens }: Pick<ExecuteDeps, 'views' | 'tokens'>,
): string | undefined {
  const { preparer } = change;
  if (change.name === 'LeaveDomain') return undefined;
  const problem = uncompared(change, { views, tokens });
  if (problem !== undefined) return problem;
  const silent = awaitedWitnesses(proposal, awaiting(change, { views, tokens }));
  if (silent.length > 0)
    return `nobody in reach could check what ${preparer} makes, and fewer signed than may change the members, or it admits some: start ${silent.join(', ')}, or take the address out of hsmWorkers if it is lost`;
  if (views.length === 0 || views.some((view) => mayPrepare(view, change, tokens))) return undefined;
  return `${preparer}, which must make the domain token, is not reachable with the newest one: start it, or, if it is an offline member, run keyfleet recover. ${ANOTHER}`;
}

function awaiting(change: DomainChange, { views, tokens }: Pick<ExecuteDeps, 'views' | 'tokens'>): Awaiting {
  const admits = change.name === 'ModifyMembers' && change.body.admit.length > 0;
  return { before: tokens.head?.state, maker: change.preparer, admits, views };
}

/** Why nobody could compare the domain keys of the token that a change of members makes; undefined if somebody can. */
function uncompared(
  change: DomainChange,
  { views, tokens }: Pick<ExecuteDeps, 'views' | 'tokens'>,
): string | undefined {
  const before = tokens.head?.state;
  if (change.name !== 'ModifyMembers' || change.body.admit.length === 0 || before === undefined) return undefined;
  const { remove } = change.body;
  const comparing = newestMembers(views, before).filter(({ memberId }) => memberId !== change.preparer);
  const leaving = comparing.filter(({ memberId }) => remove.includes(memberId));
  return leaving.length > 0 && leaving.length === comparing.length ? inTwoChanges(leaving) : undefined;
}

/**
 * LeaveDomain makes no token: the member it names erases itself. Returns false if that member cannot be reached now.
 * Throws ProposalFailedError if it refused. Afterwards no worker is that member any more, so a repetition finds no one
 * to ask.
 */
export async function executeLeave(
  memberId: string,
  proposal: Proposal,
  { views, events }: Pick<ExecuteDeps, 'views' | 'events'>,
): Promise<boolean> {
  const asked = leaversOf(memberId, views);
  const refusals: string[] = [];
  let hasLeft = false;
  for (const { worker } of asked) {
    try {
      await worker.leave(Proposal.encode(proposal));
      events.memberLeft(worker, memberId);
      hasLeft = true;
    } catch (error) {
      events.memberDidNotLeave(worker, error);
      if (error instanceof WorkerRefusedError) refusals.push(`${worker.address}: ${error.message}`);
    }
  }
  if (asked.length > 0 && refusals.length === asked.length)
    throw new ProposalFailedError(`${refusals.join('; ')}. ${AGAIN}`, []);
  return hasLeft;
}

/**
 * The worker that is that member, or was until it was removed, and any that says so; empty if it is out of reach or has
 * left.
 */
export function leaversOf(memberId: string, views: readonly WorkerView[]): readonly WorkerView[] {
  return views.filter(
    ({ standing, description }) =>
      (standing === 'member' || standing === 'removed') && description?.memberId === memberId,
  );
}

/**
 * Whether this says that it is the member that the change names and holds the newest token; for the first token, a
 * worker of that name.
 */
function mayPrepare(
  { standing, description }: WorkerView,
  { name, preparer }: DomainChange,
  tokens: TokenLog,
): boolean {
  if (description?.memberId !== preparer) return false;
  if (name === 'CreateDomain') return standing === 'asking-to-join';
  return standing === 'member' && description.generation === tokens.generation;
}
