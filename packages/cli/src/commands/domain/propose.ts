import { duration } from '@keyfleet/shared/config';
import { type Rule, rules } from '@keyfleet/shared/domain/state';
import { defineCommand, type CommandDef } from 'citty';
import { command } from '../../command.ts';
import { listOf } from '../../options.ts';
import { changeOptions, proposalText, proposeChange } from '../../propose.ts';
import { loadJson, loadOperator } from '../../public-files.ts';
import type { Terminal } from '../../terminal.ts';

const operators = command({
  description: 'Admit or remove people, frontends and domain-managers.',
  args: {
    ...changeOptions,
    admit: { type: 'string', description: 'Public keys, by commas.', valueHint: 'FILES' },
    remove: { type: 'string', description: 'Operator ids, by commas.', valueHint: 'IDS' },
  },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({
      name: 'ModifyOperators',
      body: { admit: listOf(args.admit).map(loadOperator), remove: listOf(args.remove) },
    })),
  text: proposalText,
});

const newRules = command({
  description: 'Replace all rules.',
  args: {
    ...changeOptions,
    file: { type: 'string', description: 'JSON: [{ command, alternatives: [[{ role, minimum }]] }].', required: true },
    'backup-horizon': { type: 'string', description: 'How long old domain keys are kept.', default: '30d' },
  },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => {
      const parsed: Rule[] = loadJson(args.file, rules, 'a list of quorum rules');
      return {
        name: 'ModifyRules',
        body: { rules: parsed, backupHorizonMs: duration('30d').parse(args['backup-horizon']) },
      };
    }),
  text: proposalText,
});

export function propose(terminal: Terminal, name: string): CommandDef {
  return defineCommand({
    meta: { name, description: 'Propose a change that needs more signatures.' },
    subCommands: { operators: operators(terminal, 'operators'), rules: newRules(terminal, 'rules') },
  });
}
