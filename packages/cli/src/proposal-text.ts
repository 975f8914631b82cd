import type { DomainCommand } from '@keyfleet/shared/domain/proposal';
import type { Member, Operator, Rule } from '@keyfleet/shared/domain/state';
import { fingerprintOf, memberFingerprint } from './text.ts';

/** What signing the command would do, line by line: what an operator must have read before signing. */
export function explainCommand(command: DomainCommand): string[] {
  const { name, domain, generation, preparer } = command;
  const heading = `${name} in domain ${domain}, at generation ${generation}, carried out by ${preparer}`;
  return [heading, ...linesOf(command).map((line) => `  ${line}`)];
}

function linesOf(command: DomainCommand): string[] {
  switch (command.name) {
    case 'CreateDomain': {
      const { members, operators, rules, backupHorizonMs } = command.body;
      return [...members.map(memberLine), ...operators.map(operatorLine), ...ruleLines(rules, backupHorizonMs)];
    }
    case 'RotateDomainKeys':
      return ['make a new domain key'];
    case 'RetireDomainKeys':
      return command.body.ids.map((id) => `retire domain key ${id}: what is still under it opens no more`);
    case 'ReinstateDomainKeys':
      return command.body.ids.map(
        (id) => `reinstate domain key ${id}: what is under it opens again, whoever sealed it`,
      );
    case 'DropDomainKeys':
      return command.body.ids.map((id) => `drop domain key ${id}: what is under it, in backups too, is lost`);
    case 'ModifyMembers':
      return [
        ...command.body.admit.map((member) => `admit ${memberLine(member)}`),
        ...command.body.remove.map((id) => `remove member ${id}, and make a new domain key`),
      ];
    case 'ModifyOperators':
      return [
        ...command.body.admit.map((operator) => `admit ${operatorLine(operator)}`),
        ...command.body.remove.map((id) => `remove operator ${id}`),
      ];
    case 'ModifyRules':
      return ruleLines(command.body.rules, command.body.backupHorizonMs);
    case 'LeaveDomain':
      return [`erase the identity and all keys of member ${command.body.memberId}`];
  }
}

/** Of all keys: a member whose agreement key alone was swapped would hand the domain keys to another. */
export function memberLine(member: Member): string {
  return `member ${member.memberId}  ${memberFingerprint(member)}`;
}

export function operatorLine({ operatorId, role, signingKey }: Operator): string {
  return `${role} ${operatorId}  ${fingerprintOf(signingKey)}`;
}

export function ruleLines(rules: readonly Rule[], backupHorizonMs: number): string[] {
  const days = backupHorizonMs / (24 * 3_600_000);
  return [...rules.map(ruleLine), `old domain keys are kept for ${Number(days.toFixed(2))} days`];
}

function ruleLine({ command, alternatives }: Rule): string {
  const ways = alternatives.map((way) => way.map(({ role, minimum }) => `${minimum} ${role}`).join(' and '));
  return `rule: ${command} needs ${ways.join(', or ')}`;
}
