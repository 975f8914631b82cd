import { parseCommand } from '@keyfleet/shared/domain/proposal';
import { command } from '../../command.ts';
import { DomainManagerClient } from '../../domain-manager-client.ts';
import { managerOptions } from '../../options.ts';
import { proposalText, resultOf } from '../../propose.ts';

export const proposals = command({
  description: 'What waits for signatures, and what became of it.',
  args: managerOptions,
  async run(args) {
    using client = new DomainManagerClient(args['domain-manager']);
    const views = await client.listProposals();
    return { proposals: views.map((view) => resultOf(view, parseCommand(view.proposal.command))) };
  },
  text: ({ proposals: all }) =>
    all.length === 0 ? 'Nothing waits for signatures.' : all.map(proposalText).join('\n\n'),
});
