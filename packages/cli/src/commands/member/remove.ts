import { command } from '../../command.ts';
import { listOf } from '../../options.ts';
import { changeOptions, proposalText, proposeChange } from '../../propose.ts';

export const remove = command({
  description: 'Propose to remove members. The same command makes a new domain key, which they never see.',
  args: { members: { type: 'positional', description: 'Member ids, by commas.', required: true }, ...changeOptions },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({
      name: 'ModifyMembers',
      body: { admit: [], remove: listOf(args.members) },
    })),
  text: proposalText,
});
