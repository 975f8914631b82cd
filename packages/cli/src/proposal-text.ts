import type { DomainCommand } from '@keyfleet/shared/domain/proposal';
import type { Member, Operator, Rule } from '@keyfleet/shared/domain/state';
import { fingerprintOf } from './text.ts';

/** What signing the command would do, line by line: what an operator must have read before signing. */
export function explainCommand(command: DomainCommand): string[] {
  const heading = `${command.name} in domain ${command.domain}, at generation ${command.generation}`;
  return [heading, ...linesOf(command).map((line) => `  ${line}`)];
}

function linesOf(command: DomainCommand): string[] {
  switch (command.name) {
    case 'CreateDomain': {
      const { members, operators, rules, backupHorizonMs } = command.body;
      return [...members.map(memberLine), ...operators.map(operatorLine), ...ruleLines(rules, backupHorizonMs)];
    }
    case 'RotateDomainKeys':
      return ['make a new domain key', ...command.body.drop.map((id) => `destroy domain key ${id} for ever`)];
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

/** Both keys: a member whose agreement key alone was swapped would hand the domain keys to another. */
export function memberLine({ memberId, signingKey, agreementKey }: Member): string {
  return `member ${memberId}  ${fingerprintOf(signingKey, agreementKey)}`;
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
