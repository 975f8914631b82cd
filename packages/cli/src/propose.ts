import { type DomainCommand, newProposal, type Signer, signProposal } from '@keyfleet/shared/domain/proposal';
import type { ParsedArgs } from 'citty';
import type { DomainManagerClient, ProposalView } from './domain-manager-client.ts';
import { anchorOptions, loadSigner, managerOptions, openDomain, signerOptions } from './options.ts';
import { explainCommand } from './proposal-text.ts';
import type { Terminal } from './terminal.ts';

export const DONE_WITHIN_MS = 30_000;

/** Options of every command that changes the domain. */
export const changeOptions = { ...managerOptions, ...anchorOptions, ...signerOptions } as const;

export interface ProposalResult {
  readonly proposalId: string;
  readonly command: readonly string[];
  readonly signedBy: readonly string[];
  readonly standing: string;
  readonly reason: string;
  /** The generation it made; 0 until it is done. */
  readonly generation: number;
}

type Unbound<C> = C extends DomainCommand ? Pick<C, 'name' | 'body'> : never;
/** A command before it is bound to a domain and its generation. */
export type Change = Unbound<DomainCommand>;

/** Signs a change of the domain as it is now and proposes it; waits for it when this one signature is enough. */
export async function proposeChange(
  args: ParsedArgs<typeof changeOptions>,
  terminal: Terminal,
  changeOf: (client: DomainManagerClient) => Change | Promise<Change>,
): Promise<ProposalResult> {
  using domain = openDomain(args);
  const { state } = await domain.client.getDomain(domain.anchor);
  const signer = await loadSigner(args, terminal, state.operators);
  const change = await changeOf(domain.client);
  const command = { domain: state.domain, generation: state.generation, ...change } as DomainCommand;
  return await submit(domain.client, command, signer);
}

export async function submit(
  client: DomainManagerClient,
  command: DomainCommand,
  signer: Signer,
): Promise<ProposalResult> {
  const proposed = await client.propose(signProposal(newProposal(command), signer));
  return resultOf(await whenReady(client, proposed), command);
}

/** Waits for a proposal that has all its signatures, unless nobody is there who could carry it out. */
export async function whenReady(client: DomainManagerClient, view: ProposalView): Promise<ProposalView> {
  if (view.standing !== 'ready') return view;
  const { generation = 0, workers = [] } = await client.status();
  if (generation > 0 && workers.every(({ standing }) => standing !== 'member')) {
    return { ...view, reason: 'no member of the domain answers' };
  }
  return client.awaitDone(view.proposalId, DONE_WITHIN_MS);
}

export function resultOf(view: ProposalView, command: DomainCommand): ProposalResult {
  return {
    proposalId: view.proposalId,
    command: explainCommand(command),
    signedBy: view.proposal.signatures.map(({ operatorId }) => operatorId).toSorted((a, b) => a.localeCompare(b)),
    standing: view.standing,
    reason: view.reason,
    generation: view.generation,
  };
}

export function proposalText({ proposalId, command, signedBy, standing, reason, generation }: ProposalResult): string {
  const state =
    standing === 'done'
      ? `Done: the domain is at generation ${generation}.`
      : standing === 'collecting'
        ? `Not enough yet: ${reason}.\nThe next operator signs with: keyfleet domain approve ${proposalId.slice(0, 12)}`
        : standing === 'ready'
          ? `It has all its signatures, but ${reason}.\nStart one; if all are lost: keyfleet recover ${proposalId.slice(0, 12)}`
          : `${standing}: ${reason}`;
  return [`Proposal ${proposalId.slice(0, 12)}`, ...command, `Signed by ${signedBy.join(', ')}.`, state].join('\n');
}
