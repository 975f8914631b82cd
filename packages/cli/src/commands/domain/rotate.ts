import { command } from '../../command.ts';
import { listOf } from '../../options.ts';
import { changeOptions, proposalText, proposeChange } from '../../propose.ts';

export const rotate = command({
  description: 'Make a new domain key now. Everything is resealed under it.',
  args: {
    ...changeOptions,
    drop: { type: 'string', description: 'Domain keys to destroy for ever, by commas.', valueHint: 'IDS' },
  },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({ name: 'RotateDomainKeys', body: { drop: listOf(args.drop) } })),
  text: proposalText,
});
