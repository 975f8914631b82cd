import type { VerifiedDomain } from '@keyfleet/shared/domain/chain';
import { newProposal, proposalId, type Signer, signProposal } from '@keyfleet/shared/domain/proposal';
import { type Member, type Operator, type Rule, ruledCommands } from '@keyfleet/shared/domain/state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { CliError } from './cli-error.ts';
import type { DomainManagerClient } from './domain-manager-client.ts';

export const DEFAULT_BACKUP_HORIZON_MS = 30 * 24 * 3_600_000;
const DONE_WITHIN_MS = 30_000;

export interface Founding {
  readonly anchor: TrustAnchor;
  readonly members: readonly Member[];
  /** Everyone with a signing key: people, frontends (`service-host`) and domain-managers (`scheduler`). */
  readonly operators: readonly Operator[];
  readonly rules: readonly Rule[];
  readonly backupHorizonMs: number;
}

/** `quorum` people for everything that changes who is trusted; one person or a domain-manager alone may rotate. */
export function defaultRules(quorum: number): Rule[] {
  const people = [{ role: 'operator' as const, minimum: quorum }];
  return ruledCommands.map((command) => ({
    command,
    alternatives:
      command === 'RotateDomainKeys'
        ? [[{ role: 'scheduler' as const, minimum: 1 }], [{ role: 'operator' as const, minimum: 1 }]]
        : [people],
  }));
}

/**
 * Founds a domain, or finds that it is founded: proposes CreateDomain signed by `founders`, and when these are enough for the
 * trust anchor, waits until its first token is stored. Returns undefined when more founders must sign. Throws CliError.
 */
export async function createDomain(
  client: DomainManagerClient,
  founding: Founding,
  founders: readonly Signer[],
): Promise<VerifiedDomain | undefined> {
  const { anchor, members, operators, rules, backupHorizonMs } = founding;
  const existing = await client.findDomain(anchor);
  if (existing !== undefined) return existing;
  if (members.length === 0) throw new CliError('a domain needs at least one member', { exitCode: 2 });

  const body = { members: [...members], operators: [...operators], rules: [...rules], backupHorizonMs };
  const command = { domain: anchor.domain, generation: 0, name: 'CreateDomain' as const, body };
  const proposal = founders.reduce(signProposal, newProposal(command));
  const { standing } = await client.propose(proposal);
  if (standing === 'collecting') return undefined;
  await client.awaitDone(proposalId(proposal), DONE_WITHIN_MS);
  return client.getDomain(anchor);
}
