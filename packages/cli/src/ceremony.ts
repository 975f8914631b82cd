import { boundToNothing, newProposal, proposalId, type Signer, signProposal } from '@keyfleet/shared/domain/proposal';
import {
  type NewMember,
  type Operator,
  type Rule,
  type RuledChange,
  ruledChanges,
  type VerifiedDomain,
} from '@keyfleet/shared/domain/state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { CliError } from './cli-error.ts';
import type { DomainManagerClient } from './domain-manager-client.ts';

export const DEFAULT_BACKUP_HORIZON_MS = 30 * 24 * 3_600_000;

export interface Founding {
  readonly anchor: TrustAnchor;
  /** The first one makes the founding token, unless `preparer` names another. */
  readonly members: readonly NewMember[];
  readonly preparer?: string | undefined;
  /** Everyone with a signing key: people, frontends (`service-host`) and domain-managers (`scheduler`). */
  readonly operators: readonly Operator[];
  readonly rules: readonly Rule[];
  readonly backupHorizonMs: number;
}

/**
 * `quorum` people for every change but a rotation, which destroys nothing, admits nobody, and is made once in an hour
 * at most if one person signs it. A domain-manager alone may also retire what nothing is sealed under any more.
 */
export function defaultRules(quorum: number): Rule[] {
  const people = [{ role: 'operator' as const, minimum: quorum }];
  const oneOfThem = [{ role: 'operator' as const, minimum: 1 }];
  const machine = [{ role: 'scheduler' as const, minimum: 1 }];
  const routine: Partial<Record<RuledChange, Rule['alternatives']>> = {
    RotateDomainKeys: [machine, oneOfThem],
    RetireDomainKeys: [machine, people],
  };
  return ruledChanges.map((command) => ({ command, alternatives: routine[command] ?? [people] }));
}

/**
 * Founds a domain, or finds that it is already founded: proposes CreateDomain signed by `founders`, and if they are
 * enough for the trust anchor, waits until the first token is stored. Returns undefined if more founders must sign.
 * Throws CliError.
 */
export async function createDomain(
  client: DomainManagerClient,
  founding: Founding,
  founders: readonly Signer[],
): Promise<VerifiedDomain | undefined> {
  const { anchor, members, operators, rules, backupHorizonMs } = founding;
  const preparer = founding.preparer ?? members[0]?.memberId;
  const existing = await client.findDomain(anchor);
  if (existing !== undefined) return existing;
  if (preparer === undefined) throw new CliError('a domain needs at least one member', { exitCode: 2 });

  const body = { members: [...members], operators: [...operators], rules: [...rules], backupHorizonMs };
  const change = { ...boundToNothing(anchor.domain, preparer), name: 'CreateDomain' as const, body };
  const proposal = founders.reduce(signProposal, newProposal(change));
  const { standing } = await client.propose(proposal);
  if (standing === 'collecting') return undefined;
  await client.awaitDone(proposalId(proposal), anchor);
  return client.getDomain(anchor);
}
