import { CliError } from '../../cli-error.ts';
import { command } from '../../command.ts';
import { verifiedNow } from '../../domain-manager-client.ts';
import { anchorOptions, managerOptions, openDomain } from '../../options.ts';

export const verify = command({
  description: 'Verify every domain token from the trust anchor, and that every member holds the newest one.',
  args: { ...managerOptions, ...anchorOptions },
  async run(args) {
    using domain = openDomain(args);
    const tokens = await domain.client.fetchTokens();
    if (tokens.length === 0) throw new CliError(`the domain '${domain.anchor.domain}' does not exist yet.`);
    const { state } = verifiedNow(domain.anchor, tokens);
    const { workers = [] } = await domain.client.status();
    const behind = workers
      .filter(
        ({ standing, generation }) =>
          standing === 'unreachable' || (standing === 'member' && generation !== state.generation),
      )
      .map(
        ({ address, standing, generation }) =>
          `${address}: ${standing === 'unreachable' ? 'unreachable' : `generation ${generation ?? 0}`}`,
      );
    return { domain: state.domain, tokens: tokens.length, generation: state.generation, behind };
  },
  text: ({ domain, tokens, generation, behind }) =>
    [
      `All ${tokens} tokens of the domain ${domain} verify; the newest is generation ${generation}.`,
      behind.length === 0
        ? 'Every worker that is a member holds it.'
        : `Not every member holds it: ${behind.join('; ')}`,
    ].join('\n'),
  isWell: ({ behind }) => behind.length === 0,
});
