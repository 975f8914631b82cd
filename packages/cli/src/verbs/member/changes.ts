import { verb } from '../../verb.ts';
import { listOf } from '../../options.ts';
import { changeOptions, proposalText, proposeChange, signingOptions } from '../../propose.ts';
import { loadNewMember } from '../../public-files.ts';

export const admit = verb({
  description:
    'Propose to admit workers. Approvers compare each fingerprint with the one in the log of the worker itself.',
  args: {
    identities: {
      type: 'positional',
      description: 'identity.pub.json of each worker, comma-separated.',
      required: true,
    },
    ...changeOptions,
    remove: {
      type: 'string',
      description: 'Member ids to remove in the same step, comma-separated.',
      valueHint: 'IDS',
    },
  },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({
      name: 'ModifyMembers',
      body: { admit: listOf(args.identities).map(loadNewMember), remove: listOf(args.remove) },
    })),
  text: proposalText,
});

export const remove = verb({
  description: 'Propose to remove members. The same change makes a new domain key, which they never see.',
  args: {
    members: { type: 'positional', description: 'Member ids, comma-separated.', required: true },
    ...changeOptions,
  },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({
      name: 'ModifyMembers',
      body: { admit: [], remove: listOf(args.members) },
    })),
  text: proposalText,
});

export const leave = verb({
  description:
    'Propose that a member erases its keys and its identity. It is a fresh worker afterwards: remove it first.',
  args: { member: { type: 'positional', description: 'Member id.', required: true }, ...signingOptions },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({ name: 'LeaveDomain', body: { memberId: args.member } })),
  text: proposalText,
});
