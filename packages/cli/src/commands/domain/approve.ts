import {
  boundTo,
  boundToNothing,
  type DomainCommand,
  parseCommand,
  signProposal,
} from '@keyfleet/shared/domain/proposal';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { CliError } from '../../cli-error.ts';
import { command } from '../../command.ts';
import { loadSigner, openDomain, signersOf } from '../../options.ts';
import { explainCommand } from '../../proposal-text.ts';
import { signingOptions, proposalText, resultOf, whenReady } from '../../propose.ts';

export const approve = command({
  description: 'Read what a proposal would do, and sign it.',
  args: {
    id: { type: 'positional', description: 'The proposal, or the beginning of its id.', required: true },
    ...signingOptions,
  },
  async run(args, terminal) {
    using domain = openDomain(args);
    const known = await domain.client.findDomain(domain.anchor);
    const view = await domain.client.getProposal(args.id);
    const proposed = parseCommand(view.proposal.command);
    // What is signed is what was read here: the bytes come from the domain-manager, the meaning from them.
    terminal.note(explainCommand(proposed).join('\n'));
    assertForThis(proposed, known, domain.anchor);
    const signer = await loadSigner(args, terminal, signersOf(known?.state, domain.anchor));
    const { signatures } = signProposal({ ...view.proposal, signatures: [] }, signer);
    const approved = await domain.client.approve(view.proposalId, signatures[0]!);
    return resultOf(await whenReady(domain.client, approved), proposed);
  },
  text: proposalText,
});

/** Nobody is asked to sign what can no longer be carried out, or could be only after the domain went another way. */
function assertForThis(proposed: DomainCommand, known: VerifiedDomain | undefined, { domain }: TrustAnchor): void {
  const { generation, previousHash } = known === undefined ? boundToNothing(domain, '') : boundTo(known, '');
  if (proposed.domain !== domain || proposed.generation !== generation) {
    throw new CliError(
      `this proposal is for generation ${proposed.generation}, the domain is at ${generation}: propose it again.`,
    );
  }
  if (Buffer.compare(proposed.previousHash, previousHash) !== 0) {
    throw new CliError(
      `this proposal is for another token of generation ${generation} than the domain's: propose it again.`,
    );
  }
}
