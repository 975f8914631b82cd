import { command } from '../../command.ts';
import { listOf } from '../../options.ts';
import { changeOptions, proposalText, proposeChange } from '../../propose.ts';
import { loadNewMember } from '../../public-files.ts';

export const admit = command({
  description: 'Propose to admit workers. Whoever approves compares the fingerprint with the one on the worker itself.',
  args: {
    identities: { type: 'positional', description: 'identity.pub.json of each worker, by commas.', required: true },
    ...changeOptions,
    remove: { type: 'string', description: 'Members to remove in the same step, by commas.', valueHint: 'IDS' },
  },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({
      name: 'ModifyMembers',
      body: { admit: listOf(args.identities).map(loadNewMember), remove: listOf(args.remove) },
    })),
  text: proposalText,
});
