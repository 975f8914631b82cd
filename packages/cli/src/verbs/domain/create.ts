import { duration } from '@keyfleet/shared/config';
import { CliError } from '../../cli-error.ts';
import { createDomain, defaultRules } from '../../ceremony.ts';
import { verb } from '../../verb.ts';
import { anchorOptions, listOf, loadSigner, managerOptions, openDomain, signerOptions } from '../../options.ts';
import { memberLine, operatorLine, ruleLines } from '../../proposal-text.ts';
import { loadNewMember, loadOperator } from '../../public-files.ts';
import { assertKeysOfWorkers } from '../../worker-keys.ts';

export const create = verb({
  description: 'Found the domain. Each founder runs this with the same files until enough have signed.',
  args: {
    ...managerOptions,
    ...anchorOptions,
    ...signerOptions,
    members: {
      type: 'string',
      description: 'identity.pub.json of each hsm-worker, comma-separated.',
      valueHint: 'FILES',
      required: true,
    },
    operators: {
      type: 'string',
      description: 'Public key files of people and services, comma-separated.',
      valueHint: 'FILES',
      required: true,
    },
    quorum: {
      type: 'string',
      description: 'How many operators must sign a change of trust.',
      valueHint: 'N',
      required: true,
    },
    preparer: { type: 'string', description: 'The member that makes the first domain token.', valueHint: 'ID' },
    'backup-horizon': { type: 'string', description: 'How long old domain keys are kept.', default: '30d' },
  },
  async run(args, terminal) {
    using domain = openDomain(args);
    const founding = {
      anchor: domain.anchor,
      members: listOf(args.members).map(loadNewMember),
      preparer: args.preparer,
      operators: listOf(args.operators).map(loadOperator),
      rules: defaultRules(quorumOf(args.quorum)),
      backupHorizonMs: duration('30d').parse(args['backup-horizon']),
    };
    if (founding.operators.every(({ role }) => role !== 'scheduler')) {
      throw new CliError(
        '--operators names no scheduler: members accept changes only from a domain-manager that has this role. ' +
          'Make its key with: keyfleet operator create-key --role scheduler',
      );
    }
    await assertKeysOfWorkers(domain.client, founding.members);
    const signer = await loadSigner(args, terminal, domain.anchor.operators);
    const founded = await createDomain(domain.client, founding, [signer]);
    const { members, operators, rules, backupHorizonMs } = founded?.state ?? founding;
    return {
      domain: domain.anchor.domain,
      generation: founded?.state.generation ?? 0,
      state: [...members.map(memberLine), ...operators.map(operatorLine), ...ruleLines(rules, backupHorizonMs)],
    };
  },
  text: ({ domain, generation, state }) =>
    [
      ...state,
      generation === 0
        ? `Signed. The domain ${domain} begins when enough founders have run this with the same files.`
        : `The domain ${domain} is founded: generation ${generation}.`,
    ].join('\n'),
});

function quorumOf(text: string): number {
  const quorum = Number(text);
  if (!Number.isInteger(quorum) || quorum < 1) throw new CliError('--quorum must be a number from 1', { exitCode: 2 });
  return quorum;
}
