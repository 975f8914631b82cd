import type { DomainChange } from '@keyfleet/shared/domain/proposal';
import { type Member, type Operator, type Rule, type RuledChange, ruledChanges } from '@keyfleet/shared/domain/state';
import { fingerprintOf, memberFingerprint } from '@keyfleet/shared/domain/fingerprint';

/** What signing the change would do, line by line: what an operator must read before signing. */
export function explainDomainChange(change: DomainChange): string[] {
  const { name, domain, generation, preparer } = change;
  const heading = `${name} in domain ${domain}, at generation ${generation}, carried out by ${preparer}`;
  const alone = `no other member confirms the domain token: ${preparer} alone could replace the domain keys by it`;
  return [heading, ...[...linesOf(change), ...(change.unwitnessed ? [alone] : [])].map((line) => `  ${line}`)];
}

const AFTER_REMOVAL = 'make a new domain key, and end all temporary credentials';

function linesOf(change: DomainChange): string[] {
  switch (change.name) {
    case 'CreateDomain': {
      const { members, operators, rules, backupHorizonMs } = change.body;
      return [...members.map(memberLine), ...operators.map(operatorLine), ...ruleLines(rules, backupHorizonMs)];
    }
    case 'RotateDomainKeys':
      return ['make a new domain key'];
    case 'RetireDomainKeys':
      return change.body.ids.map((id) => `retire domain key ${id}: what is still sealed under it no longer opens`);
    case 'ReinstateDomainKeys':
      return change.body.ids.map(
        (id) => `reinstate domain key ${id}: what is sealed under it opens again, whoever sealed it`,
      );
    case 'DropDomainKeys':
      return change.body.ids.map((id) => `drop domain key ${id}: what is sealed under it is lost, in backups too`);
    case 'ModifyMembers':
      return [
        ...change.body.admit.map((member) => `admit ${memberLine(member)}`),
        ...change.body.remove.map((id) => `remove member ${id}: ${AFTER_REMOVAL}`),
      ];
    case 'ModifyOperators':
      return [
        ...change.body.admit.map((operator) => `admit ${operatorLine(operator)}`),
        ...change.body.remove.map((id) =>
          change.body.keepsDomainKeys
            ? `remove operator ${id}`
            : `remove operator ${id}: if it is a frontend's, ${AFTER_REMOVAL}`,
        ),
      ];
    case 'ModifyRules':
      return ruleLines(change.body.rules, change.body.backupHorizonMs);
    case 'LeaveDomain':
      return [`erase the identity and all keys of member ${change.body.memberId}`];
  }
}

/** Covers all keys: a member with only its agreement key swapped would hand the domain keys to somebody else. */
export function memberLine(member: Member): string {
  const kept = member.offline === true ? ' (offline: it confirms no domain token)' : '';
  return `member ${member.memberId}  ${memberFingerprint(member)}${kept}`;
}

export function operatorLine({ operatorId, role, signingKey }: Operator): string {
  return `${role} ${operatorId}  ${fingerprintOf(signingKey)}`;
}

export function ruleLines(rules: readonly Rule[], backupHorizonMs: number): string[] {
  const days = backupHorizonMs / (24 * 3_600_000);
  const denied = ruledChanges.filter((name) => rules.every(({ command }) => command !== name));
  return [
    ...rules.map(ruleLine),
    ...denied.map(deniedLine),
    `old domain keys are kept for ${Number(days.toFixed(2))} days`,
  ];
}

function deniedLine(name: RuledChange): string {
  return `no rule: nobody may do ${name}, whoever signs, until the rules are changed`;
}

function ruleLine({ command, alternatives }: Rule): string {
  const ways = alternatives.map((way) => way.map(({ role, minimum }) => `${minimum} ${role}`).join(' and '));
  return `rule: ${command} needs ${ways.join(', or ')}`;
}
