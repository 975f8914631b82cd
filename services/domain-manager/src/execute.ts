import type { DomainCommand, Proposal } from '@keyfleet/shared/domain/proposal';
import { Proposal as ProposalFormat } from '@keyfleet/shared/domain/proposal';
import type { Log } from '@keyfleet/shared/log';
import type { WorkerView } from './membership.ts';
import { type TokenLog, TokenLogError } from './token-log.ts';
import { WorkerRefusedError } from './workers.ts';

export interface ExecuteDeps {
  readonly views: readonly WorkerView[];
  readonly tokens: TokenLog;
  readonly log: Log;
}

/** Every member that could be asked refused. */
export class ProposalFailedError extends Error {
  override name = 'ProposalFailedError';
}

/**
 * Has one member make the token that a fully signed proposal asks for, and stores it. Killed anywhere before the store has it,
 * nothing has changed; after that, every round brings it to the members. Throws ProposalFailedError when no member will ever do it;
 * returns normally when it is done, and when it is worth trying again.
 */
export async function executeProposal(
  command: DomainCommand,
  proposal: Proposal,
  { views, tokens, log }: ExecuteDeps,
): Promise<void> {
  const refusals: string[] = [];
  const candidates = preparersOf(command, views, tokens);
  for (const { worker } of candidates) {
    try {
      const token = await worker.prepare(ProposalFormat.encode(proposal), tokens.head?.token);
      // False: another replica was faster, perhaps with this very proposal. The next round reads what it stored.
      if (!(await tokens.append(token))) return;
      const signers = proposal.signatures.map(({ operatorId }) => operatorId);
      log.info({ generation: tokens.generation, command: command.name, signers }, 'a new domain token is stored');
      return;
    } catch (error) {
      log.warn({ worker: worker.address, command: command.name, err: error }, 'a worker did not make the domain token');
      if (!(error instanceof WorkerRefusedError || error instanceof TokenLogError)) continue;
      refusals.push(`${worker.address}: ${error.message}`);
    }
  }
  if (refusals.length > 0 && refusals.length === candidates.length) throw new ProposalFailedError(refusals.join('; '));
}

/**
 * LeaveDomain makes no token: the member it names erases itself. False when that member cannot be reached now. Throws
 * ProposalFailedError when it refused. Once done nobody is that member any more, so a second time finds no one to ask.
 */
export async function executeLeave(
  memberId: string,
  proposal: Proposal,
  { views, log }: Omit<ExecuteDeps, 'tokens'>,
): Promise<boolean> {
  const view = views.find(
    ({ standing, description }) =>
      (standing === 'member' || standing === 'removed') && description?.memberId === memberId,
  );
  if (view === undefined) return false;
  const { worker } = view;
  try {
    await worker.leave(ProposalFormat.encode(proposal));
    log.info({ worker: worker.address, memberId }, 'a member left the domain and erased its keys');
    return true;
  } catch (error) {
    log.warn({ worker: worker.address, err: error }, 'a member did not leave the domain');
    if (error instanceof WorkerRefusedError) throw new ProposalFailedError(`${worker.address}: ${error.message}`);
    return false;
  }
}

/** Members that have the newest token and stay members; for the first token, its founding members. */
function preparersOf(command: DomainCommand, views: readonly WorkerView[], tokens: TokenLog): WorkerView[] {
  const idOf = (view: WorkerView): string => view.description?.memberId ?? '';
  if (command.name === 'CreateDomain') {
    const founding = new Set(command.body.members.map(({ memberId }) => memberId));
    return views.filter((view) => view.standing === 'asking-to-join' && founding.has(idOf(view)));
  }
  const leaving = command.name === 'ModifyMembers' ? command.body.remove : [];
  return views.filter(
    (view) =>
      view.standing === 'member' && view.description?.generation === tokens.generation && !leaving.includes(idOf(view)),
  );
}
