import { type DomainChange, parseDomainChange, Proposal, proposalId } from '@keyfleet/shared/domain/proposal';
import { areDomainKeysToRetire, type DomainState } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import { forMachines } from '@keyfleet/shared/domain/valid-state';
import type { DomainManagerEvents } from './events.ts';
import type { WorkerView } from './worker-survey.ts';
import { type TokenLog, TokenLogError } from './token-log.ts';
import { HeldTokenError } from '@keyfleet/shared/domain/token-check';
import type { Decided } from './decided.ts';
import { lacksWitness, witnessOf } from './witness.ts';
import { type Worker, WorkerRefusedError } from './workers.ts';

export interface ExecuteDeps {
  readonly views: readonly WorkerView[];
  readonly tokens: TokenLog;
  readonly decided: Decided;
  /**
   * Whether the token of any other change is taken too: a member makes one token of a generation, and may have made it
   * for a change that was withdrawn or expired. Default: that of a proposal which is decided, or a
   * change that machines alone may sign.
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
  const problem = lacksWitness(change, tokens.head?.state, views);
  if (problem !== undefined) return events.changeWaits(change.name, problem);
  // What a worker says of itself is not signed: one that lies must not be asked in place of the member that it names.
  const asked = views.filter((view) => mayPrepare(view, change, tokens));
  const refusals = new Map<Error, string>();
  for (const { worker } of asked) {
    try {
      return await haveMade(worker, { change, proposal }, deps);
    } catch (error) {
      events.tokenNotMade(worker, change.name, error);
      if (!(error instanceof WorkerRefusedError || error instanceof TokenLogError)) continue;
      refusals.set(error, `${worker.address}: ${error.message}`);
    }
  }
  if (asked.length === 0 || refusals.size < asked.length) return;
  throw new ProposalFailedError(`${[...refusals.values()].join('; ')}. ${AGAIN}. ${ANOTHER}`, [...refusals.keys()]);
}

interface Asked {
  readonly change: DomainChange;
  readonly proposal: Proposal;
}

async function haveMade(worker: Worker, { change, proposal }: Asked, deps: ExecuteDeps): Promise<void> {
  const { views, tokens, decided, takesAny, events } = deps;
  const before = tokens.head?.state;
  const token = await worker.prepare(Proposal.encode(proposal), tokens.head?.token);
  const witness = async (made: DomainToken): Promise<Uint8Array | undefined> => {
    const id = proposalId(made.proposal);
    const isWanted = [proposalId(proposal), ...decided.proposals].includes(id);
    // Nobody has reason to withdraw that, and in a fleet of which one is left nobody else can go on.
    const isForMachines = machinesMaySign(parseDomainChange(made.proposal.command), before);
    if (!isWanted && !isForMachines && takesAny !== true)
      throw new OtherChangeError('it has made the token of another change for this generation');
    // Those who may change the members have signed that its word is enough in this generation.
    const waiver = change.unwitnessed ? Proposal.encode(proposal) : undefined;
    return witnessOf(made, { before, waiver, removed: decided.removed, views, events });
  };
  // False: another replica was faster, perhaps with the same proposal. The next round reads what it stored.
  if (!(await tokens.append(token, witness))) return;
  // A member that already made a token of this generation from another proposal returns that one.
  const made = parseToken(token).proposal;
  const signers = made.signatures.map(({ operatorId }) => operatorId);
  const { name } = parseDomainChange(made.command);
  events.tokenStored(tokens.generation, name, signers);
}

/** Other retirements than those that are due only people sign, and may have withdrawn. */
function machinesMaySign({ name, body }: DomainChange, before: DomainState | undefined): boolean {
  if (name === 'RetireDomainKeys') return before !== undefined && areDomainKeysToRetire(body.ids, before);
  return forMachines.has(name);
}

const AGAIN =
  'It is tried again each minute until it expires or the domain changes, and at once when one more signs it';
const ANOTHER = 'Or propose the change again, with another --preparer';

/** Why a fully signed proposal is not being carried out; undefined if it is about to be. */
export function waitsFor(
  change: DomainChange,
  { views, tokens }: Pick<ExecuteDeps, 'views' | 'tokens'>,
): string | undefined {
  const { preparer } = change;
  if (change.name === 'LeaveDomain' || views.length === 0) return undefined;
  if (views.some((view) => mayPrepare(view, change, tokens))) return lacksWitness(change, tokens.head?.state, views);
  return `${preparer}, which must make the domain token, is not reachable with the newest one: start it, or, if it is an offline member, run keyfleet recover. ${ANOTHER}`;
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
