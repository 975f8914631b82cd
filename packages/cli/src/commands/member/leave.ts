import { command } from '../../command.ts';
import { signingOptions, proposalText, proposeChange } from '../../propose.ts';

export const leave = command({
  description:
    'Propose that a member erases its keys and its identity. It is a fresh worker afterwards: remove it first.',
  args: { member: { type: 'positional', description: 'Member id.', required: true }, ...signingOptions },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({ name: 'LeaveDomain', body: { memberId: args.member } })),
  text: proposalText,
});
