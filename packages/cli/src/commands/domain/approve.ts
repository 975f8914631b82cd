import { parseCommand, signProposal } from '@keyfleet/shared/domain/proposal';
import { CliError } from '../../cli-error.ts';
import { command } from '../../command.ts';
import { loadSigner, openDomain, signersOf } from '../../options.ts';
import { explainCommand } from '../../proposal-text.ts';
import { changeOptions, proposalText, resultOf, whenReady } from '../../propose.ts';

export const approve = command({
  description: 'Read what a proposal would do, and sign it.',
  args: {
    id: { type: 'positional', description: 'The proposal, or the beginning of its id.', required: true },
    ...changeOptions,
  },
  async run(args, terminal) {
    using domain = openDomain(args);
    const known = await domain.client.findDomain(domain.anchor);
    const view = await domain.client.getProposal(args.id);
    const proposed = parseCommand(view.proposal.command);
    // What is signed is what was read here: the bytes come from the domain-manager, the meaning from them.
    terminal.note(explainCommand(proposed).join('\n'));
    const generation = known?.state.generation ?? 0;
    if (proposed.domain !== domain.anchor.domain || proposed.generation !== generation) {
      throw new CliError(
        `this proposal is for generation ${proposed.generation}, the domain is at ${generation}: propose it again.`,
      );
    }
    const signer = await loadSigner(args, terminal, signersOf(known?.state, domain.anchor));
    const { signatures } = signProposal({ ...view.proposal, signatures: [] }, signer);
    const approved = await domain.client.approve(view.proposalId, signatures[0]!);
    return resultOf(await whenReady(domain.client, approved), proposed);
  },
  text: proposalText,
});
