import { systemClock } from '@keyfleet/shared/clock';
import { CALL_SKEW_MS } from '@keyfleet/shared/domain/domain-call';
import {
  type DomainChange,
  encodeDomainChange,
  type NewDomainChange,
  parseDomainChange,
  Proposal,
  proposalId,
} from '@keyfleet/shared/domain/proposal';
import { type DomainState, isMember } from '@keyfleet/shared/domain/state';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { needsWitness, witnessesFor } from '@keyfleet/shared/domain/witness';
import { CliError } from '../cli-error.ts';
import { verb } from '../verb.ts';
import type { DomainManagerClient } from '../domain-manager-client.ts';
import {
  installChain,
  loadOfflineMember,
  offlineMemberOptions,
  publicPartOf,
  saveOfflineMember,
} from '../offline-members.ts';
import { anchorOptions, managerOptions, openDomain } from '../options.ts';
import { explainDomainChange } from '../proposal-text.ts';

export const recover = verb({
  description: 'Carry out a signed proposal with an offline member, to admit a fresh fleet when every worker is lost.',
  args: {
    id: { type: 'positional', description: 'The id of the proposal, as it is shown.', required: true },
    ...managerOptions,
    ...anchorOptions,
    ...offlineMemberOptions,
  },
  async run(args, terminal) {
    using domain = openDomain(args);
    const { client, anchor } = domain;
    const { tokens, domain: newest } = await client.getChain(anchor);
    const { state } = newest;
    const { proposal, standing, reason } = await client.getProposal(args.id);
    const change = parseDomainChange(proposal.command);
    const text = explainDomainChange(change);
    terminal.note(text.join('\n'));
    if (standing !== 'ready') throw new CliError(`the proposal cannot be carried out (${standing}): ${reason}`);
    await assertSameTime(client);
    await assertConfirmable(client, change, state);

    const path = args['offline-member'];
    const member = await loadOfflineMember(args, anchor, terminal);
    const publicPart = publicPartOf(member);
    if (!isMember(state, publicPart)) throw new CliError(`${publicPart.memberId} is not a member of the domain.`);
    if (change.preparer !== publicPart.memberId) {
      const advice = `Propose it again with --preparer ${publicPart.memberId}`;
      throw new CliError(
        `the proposal is for ${change.preparer} to carry out, not for ${publicPart.memberId}. ${advice}`,
      );
    }
    installChain(member, tokens);
    const made = member.hsm.prepare(Proposal.encode(proposal), tokens.at(-1));
    // Saved before anyone sees it: a second token of this generation would split the domain. It is not installed here:
    // if it is lost, the member would refuse the chain without it for ever, and so it makes the same one again.
    saveOfflineMember(path, member);
    const token = madeFor(proposal, made, state);
    // Whoever was asked to open the token may have brought it first.
    const refusal = await client.storeToken(token).then(
      () => undefined,
      (error: Error) => error,
    );
    const generation = await client.generationOf(token, anchor);
    if (generation === undefined && refusal !== undefined) throw refusal;
    if (generation === undefined) {
      throw new CliError(
        'the domain-manager accepted the new domain token, but does not show it. Run this again, or ask another domain-manager: the token will be the same.',
      );
    }
    return { memberId: publicPart.memberId, generation, command: text };
  },
  text: ({ memberId, generation }) =>
    `${memberId} carried it out: the domain is at generation ${generation}.\n` +
    'The workers that it admits serve as soon as they have the new token. See: keyfleet domain status',
});

/**
 * A token that is dated ahead is stored by nobody before its day, and its maker makes no other. Workers ask the same of
 * each call of a domain-manager.
 */
async function assertSameTime(client: DomainManagerClient): Promise<void> {
  const { now = 0 } = await client.status();
  const ahead = systemClock.now() - now;
  if (Math.abs(ahead) <= CALL_SKEW_MS) return;
  const wrong = `this machine's clock is ${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'} the domain-manager's`;
  throw new CliError(
    `${wrong}. Correct the one that is wrong, then run this again: the offline member has made nothing.`,
  );
}

/** Nobody stores a token that no other member confirms, and the offline member would be bound to it. */
async function assertConfirmable(
  client: DomainManagerClient,
  change: DomainChange,
  { members, generation }: DomainState,
): Promise<void> {
  const { preparer } = change;
  if (!needsWitness(members, change, preparer)) return;
  const { workers = [] } = await client.status();
  const newest = workers.filter((one) => one.standing === 'member' && one.generation === generation);
  const witnesses = witnessesFor(members, change, preparer);
  if (newest.some(({ member_id: id }) => witnesses.some(({ memberId }) => memberId === id))) return;
  throw new CliError(
    `no other member that stays is in reach to confirm what ${preparer} makes: start one, then run this again. If all are lost, ` +
      'propose the change again with --unwitnessed. The offline member has made nothing.',
  );
}

/**
 * The token with what people signed in place of a witness, if they did since it was made. A member makes one token of a
 * generation and gives the same again, whatever proposal it is then shown. Throws CliError if it made that for another
 * change.
 */
function madeFor(proposal: Proposal, token: Uint8Array, { members }: DomainState): Uint8Array {
  const parsed = parseToken(token);
  const { proposal: made, signerId: memberId } = parsed;
  if (proposalId(made) === proposalId(proposal)) return token;
  const change = parseDomainChange(made.command);
  const unwitnessed = encodeDomainChange({ ...(change as NewDomainChange), unwitnessed: true });
  if (unwitnessed.equals(proposal.command))
    return needsWitness(members, change, memberId) ? withWitness(parsed, Proposal.encode(proposal)) : token;
  throw new CliError(
    `${memberId} has already made a token of this generation, from proposal ${proposalId(made)} (${explainDomainChange(change).join('; ')}), ` +
      'and will make no other. Recover with that proposal, or have another member make this generation.',
  );
}
