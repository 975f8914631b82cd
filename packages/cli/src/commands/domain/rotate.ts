import { command } from '../../command.ts';
import { changeOptions, proposalText, proposeChange } from '../../propose.ts';

export const rotate = command({
  description: 'Make a new domain key now. Everything is resealed under it.',
  args: changeOptions,
  run: (args, terminal) => proposeChange(args, terminal, () => ({ name: 'RotateDomainKeys', body: {} })),
  text: proposalText,
});
