import type { DomainState } from '@keyfleet/shared/domain/state';
import { CliError } from '../../cli-error.ts';
import { command } from '../../command.ts';
import { listOf } from '../../options.ts';
import { changeOptions, proposalText, proposeChange } from '../../propose.ts';

type KeysCommand = 'RetireDomainKeys' | 'ReinstateDomainKeys' | 'DropDomainKeys';

/** Ends the use of old domain keys, begins it again, and gives them up. */
export const retire = keysCommand(
  'RetireDomainKeys',
  'Propose that old domain keys open nothing any more. The domain-manager does so by itself after a removal.',
);
export const reinstate = keysCommand(
  'ReinstateDomainKeys',
  'Propose that retired domain keys open again, to restore a backup from their time.',
);
export const drop = keysCommand(
  'DropDomainKeys',
  'Propose that members forget old domain keys: backups with anything under them are void.',
);

function keysCommand(name: KeysCommand, description: string) {
  return command({
    description,
    args: {
      ids: { type: 'positional', description: 'Domain keys, or beginnings of their ids, by commas.', required: true },
      ...changeOptions,
    },
    run: (args, terminal) =>
      proposeChange(args, terminal, (state) => ({
        name,
        body: { ids: listOf(args.ids).map((id) => idOf(state, id)) },
      })),
    text: proposalText,
  });
}

function idOf({ domainKeys }: DomainState, prefix: string): string {
  const [found, ...more] = domainKeys.filter(({ id }) => id.startsWith(prefix));
  if (found === undefined) throw new CliError(`the domain has no domain key ${prefix}. See: keyfleet domain show`);
  if (more.length > 0) throw new CliError(`${more.length + 1} domain keys begin with ${prefix}: give more of the id.`);
  return found.id;
}
