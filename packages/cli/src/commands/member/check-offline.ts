import { isMember } from '@keyfleet/shared/domain/state';
import { CliError } from '../../cli-error.ts';
import { command } from '../../command.ts';
import { loadOfflineMember, offlineMemberOptions, publicPartOf } from '../../offline-members.ts';
import { anchorOptions, managerOptions, openDomain } from '../../options.ts';
import { memberFingerprint } from '../../text.ts';

export const checkOffline = command({
  description: 'Open an offline member and the newest domain token with it, as in a recovery. Nothing is changed.',
  args: { ...managerOptions, ...anchorOptions, ...offlineMemberOptions },
  async run(args, terminal) {
    using domain = openDomain(args);
    const tokens = await domain.client.fetchTokens();
    const { state } = await domain.client.getDomain(domain.anchor);
    const member = await loadOfflineMember(args, domain.anchor, terminal);
    const publicPart = publicPartOf(member);
    const { memberId } = publicPart;
    if (!isMember(state, publicPart)) {
      throw new CliError(`${memberId} opens, but is no member of the domain: admit it with keyfleet member admit.`);
    }
    member.hsm.install(tokens);
    return {
      memberId,
      fingerprint: memberFingerprint(publicPart),
      generation: state.generation,
      domainKeys: member.hsm.installed?.secrets.domainKeys.length ?? 0,
    };
  },
  text: ({ memberId, fingerprint, generation, domainKeys }) =>
    `member ${memberId}  ${fingerprint}\nIt opens token ${generation} of the domain and has all its ${domainKeys} domain keys.`,
});
