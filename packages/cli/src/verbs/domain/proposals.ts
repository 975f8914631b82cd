import { CliError } from '../../cli-error.ts';
import { verb } from '../../verb.ts';
import { listOf, loadSigner, managerOptions, openDomain, signersOf, openManager } from '../../options.ts';
import { explainDomainChange } from '../../proposal-text.ts';
import {
  changeOptions,
  type ProposalResult,
  proposalText,
  proposeChange,
  resultOf,
  signingOptions,
  whenReady,
} from '../../propose.ts';
import { loadJson, loadOperator } from '../../public-files.ts';
import { assertKeysOfWorkers } from '../../worker-keys.ts';
import type { Terminal } from '../../terminal.ts';
import { duration } from '@keyfleet/shared/config';
import {
  boundTo,
  boundToNothing,
  type DomainChange,
  parseDomainChange,
  signProposal,
} from '@keyfleet/shared/domain/proposal';
import { type Rule, rules, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import { assertMayBeMade } from '@keyfleet/shared/domain/valid-state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { type CommandDef, defineCommand } from 'citty';

export const proposals = verb({
  description: 'List proposals, their signatures and what became of them.',
  args: managerOptions,
  async run(args) {
    using client = openManager(args);
    const views = await client.listProposals();
    return { proposals: views.map((view) => resultOf(view, parseDomainChange(view.proposal.command))) };
  },
  text: ({ proposals: all }) =>
    all.length === 0 ? 'Nothing waits for signatures.' : all.map((one) => proposalText(asClaimed(one))).join('\n\n'),
});

/** Without a trust anchor no token shows that a proposal was carried out. */
function asClaimed(result: ProposalResult): ProposalResult {
  if (result.standing !== 'done') return result;
  return { ...result, standing: 'done, says the domain-manager', reason: `generation ${result.generation}` };
}

const operators = verb({
  description: 'Admit or remove people, frontends and domain-managers.',
  args: {
    ...changeOptions,
    admit: { type: 'string', description: 'Public key files, comma-separated.', valueHint: 'FILES' },
    remove: { type: 'string', description: 'Operator ids, comma-separated.', valueHint: 'IDS' },
  },
  run: (args, terminal) =>
    proposeChange(args, terminal, () => ({
      name: 'ModifyOperators',
      body: { admit: listOf(args.admit).map(loadOperator), remove: listOf(args.remove) },
    })),
  text: proposalText,
});

const newRules = verb({
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

export const approve = verb({
  description: 'Show what a proposal would do, and sign it.',
  args: {
    id: { type: 'positional', description: 'The id of the proposal, as it is shown.', required: true },
    ...signingOptions,
  },
  async run(args, terminal) {
    using domain = openDomain(args);
    const known = await domain.client.findDomain(domain.anchor);
    const view = await domain.client.getProposal(args.id);
    const proposed = parseDomainChange(view.proposal.command);
    // The operator signs what was read here: the bytes come from the domain-manager, and the meaning comes from the
    // bytes.
    terminal.note(explainDomainChange(proposed).join('\n'));
    assertMayBeMade(proposed);
    assertForThis(proposed, known, domain.anchor);
    if (proposed.name === 'ModifyMembers') await assertKeysOfWorkers(domain.client, proposed.body.admit);
    const signer = await loadSigner(args, terminal, signersOf(known?.state, domain.anchor));
    const { signatures } = signProposal({ ...view.proposal, signatures: [] }, signer);
    const approved = await domain.client.approve(view.proposalId, signatures[0]!);
    return resultOf(await whenReady(domain, approved), proposed);
  },
  text: proposalText,
});

/** Nobody should sign what can no longer be carried out, or could be only if the domain took another course. */
function assertForThis(proposed: DomainChange, known: VerifiedDomain | undefined, { domain }: TrustAnchor): void {
  const { generation, previousHash } = known === undefined ? boundToNothing(domain, '') : boundTo(known, '');
  if (proposed.domain !== domain || proposed.generation !== generation) {
    throw new CliError(
      `this proposal is for generation ${proposed.generation}, and the domain is at ${generation}: propose it again.`,
    );
  }
  if (Buffer.compare(proposed.previousHash, previousHash) !== 0) {
    throw new CliError(
      `this proposal is for another token of generation ${generation} than the domain's: propose it again.`,
    );
  }
}
