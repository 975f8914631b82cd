import {
  boundTo,
  type DomainChange,
  type NewDomainChange,
  newProposal,
  parseDomainChange,
  type Signer,
  signProposal,
  type UnboundChange,
} from '@keyfleet/shared/domain/proposal';
import type { DomainState, VerifiedDomain } from '@keyfleet/shared/domain/state';
import { needsWitness, stayingIn, witnessesFor } from '@keyfleet/shared/domain/witness';
import type { ParsedArgs } from 'citty';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError } from './cli-error.ts';
import { type DomainManagerClient, PROPOSAL_DIGITS, type ProposalView } from './domain-manager-client.ts';
import { anchorOptions, loadSigner, managerOptions, type OpenDomain, openDomain, signerOptions } from './options.ts';
import { explainDomainChange } from './proposal-text.ts';
import type { Terminal } from './terminal.ts';
import { assertKeysOfWorkers } from './worker-keys.ts';

/** Options of every verb that needs signatures. */
export const signingOptions = { ...managerOptions, ...anchorOptions, ...signerOptions } as const;

/** For every verb that makes a new domain token. */
export const changeOptions = {
  ...signingOptions,
  preparer: {
    type: 'string',
    description: 'The member that makes the domain token; it must be running.',
    valueHint: 'ID',
  },
  unwitnessed: {
    type: 'boolean',
    description: 'Its word is enough: if all other members that could confirm the domain token are lost.',
  },
} as const;

export interface ProposalResult {
  readonly proposalId: string;
  readonly command: readonly string[];
  readonly signedBy: readonly string[];
  readonly standing: string;
  readonly reason: string;
  /** The generation it made; 0 until it is done, and for LeaveDomain, which makes none. */
  readonly generation: number;
}

/** A domain change before it is bound to the current domain. */
export type Change = UnboundChange;

/**
 * Signs a change to the current domain and proposes it. If this one signature is enough, waits until it is carried out.
 */
export async function proposeChange(
  args: ParsedArgs<typeof signingOptions> & ChangeArgs,
  terminal: Terminal,
  changeOf: (state: DomainState) => Change | Promise<Change>,
): Promise<ProposalResult> {
  using domain = openDomain(args);
  const { client } = domain;
  const known = await client.getDomain(domain.anchor);
  const signer = await loadSigner(args, terminal, known.state.operators);
  const change = await changeOf(known.state);
  if (change.name === 'ModifyMembers') await assertKeysOfWorkers(client, change.body.admit);
  const preparer = await preparerOf(change, { client, known, named: args.preparer });
  const unwitnessed = isUnwitnessed(change, known.state, { ...args, preparer });
  return await submit(domain, { ...boundTo(known, preparer), unwitnessed, ...change } as NewDomainChange, signer);
}

interface ChangeArgs {
  readonly preparer?: string | undefined;
  readonly unwitnessed?: boolean | undefined;
}

/**
 * A removal that leaves the preparer alone can have no witness. Throws CliError for a change that could have one in two
 * steps.
 */
function isUnwitnessed(
  change: Change,
  { members }: DomainState,
  { preparer, unwitnessed = false }: ChangeArgs & { readonly preparer: string },
): boolean {
  if (unwitnessed || change.name !== 'ModifyMembers') return unwitnessed;
  const { admit, remove } = change.body;
  if (!needsWitness(members, { version: 3, unwitnessed }, preparer)) return false;
  if (witnessesFor(members, change, preparer).length > 0) return false;
  if (admit.length === 0) return true;
  throw new CliError(
    `nobody who stays but ${preparer} has the domain keys, and it could replace them: admit the new members first, and remove ${remove.join(', ')} by another change. If all that have them are lost, add --unwitnessed`,
  );
}

/** The domain-manager looks at its workers every second, and brings them what the change before this one made. */
const PREPARER_WITHIN_MS = 10_000;
const POLL_MS = 200;

interface Candidates {
  readonly client: Pick<DomainManagerClient, 'status' | 'listProposals'>;
  readonly known: Pick<VerifiedDomain, 'state'>;
  readonly named: string | undefined;
}

/**
 * The named member, or else the first one that is reachable, has the newest domain token and remains a member. For a
 * rotation, which withdraws what was signed before, rather one that has not been named to carry that out: it may have
 * made that token already, and makes no other. Throws CliError if there is none within `timeoutMs`.
 */
export async function preparerOf(
  change: Change,
  { client, known, named }: Candidates,
  timeoutMs = PREPARER_WITHIN_MS,
): Promise<string> {
  if (change.name === 'LeaveDomain') return change.body.memberId;
  const staying = stayingIn(known.state.members, change).map(({ memberId }) => memberId);
  if (named !== undefined) {
    if (staying.includes(named)) return named;
    throw new CliError(`--preparer: ${named} is not a member, or would not remain one. See: keyfleet member list`, {
      exitCode: 2,
    });
  }
  const proposed = change.name === 'RotateDomainKeys' ? await client.listProposals() : [];
  const changes = proposed.map(({ proposal }) => parseDomainChange(proposal.command));
  const { generation: present } = known.state;
  const bound = new Set(changes.filter(({ generation }) => generation === present).map(({ preparer }) => preparer));
  for (const deadline = Date.now() + timeoutMs; ; await delay(POLL_MS)) {
    const { workers = [] } = await client.status();
    const there = new Set(
      workers
        .filter(({ standing, generation }) => standing === 'member' && generation === known.state.generation)
        .map(({ member_id: id }) => id),
    );
    const found = staying.find((id) => there.has(id) && !bound.has(id)) ?? staying.find((id) => there.has(id));
    if (found !== undefined) return found;
    if (Date.now() > deadline)
      throw new CliError(
        'no reachable worker can make the domain token: it must be a member now and afterwards. Start one; if all are lost, name your offline member with --preparer, and add --unwitnessed',
      );
  }
}

async function submit(domain: KnownBy, change: NewDomainChange, signer: Signer): Promise<ProposalResult> {
  const proposal = signProposal(newProposal(change), signer);
  return resultOf(await whenReady(domain, await domain.client.propose(proposal)), parseDomainChange(proposal.command));
}

type KnownBy = Pick<OpenDomain, 'client' | 'anchor'>;

/**
 * Waits for a fully signed proposal, unless the member that must carry it out is unreachable. What is `done` was found
 * in the verified tokens. Throws CliError for one that failed.
 */
export async function whenReady({ client, anchor }: KnownBy, view: ProposalView): Promise<ProposalView> {
  if (view.standing === 'done' || view.standing === 'failed') return client.awaitDone(view.proposalId, anchor);
  if (view.standing !== 'ready') return view;
  const { preparer } = parseDomainChange(view.proposal.command);
  const { workers = [] } = await client.status();
  const isThere = workers.some(
    ({ member_id: id, reachable, standing }) => id === preparer && reachable === true && standing !== 'stranger',
  );
  if (!isThere) {
    const advice = `Start it, or propose again with another --preparer. An offline member carries it out with: keyfleet recover ${view.proposalId.slice(0, PROPOSAL_DIGITS)}`;
    return { ...view, reason: `${preparer}, which must carry it out, cannot be reached. ${advice}` };
  }
  return client.awaitDone(view.proposalId, anchor);
}

export function resultOf(view: ProposalView, change: DomainChange): ProposalResult {
  return {
    proposalId: view.proposalId,
    command: explainDomainChange(change),
    signedBy: view.proposal.signatures.map(({ operatorId }) => operatorId).toSorted((a, b) => a.localeCompare(b)),
    standing: view.standing,
    reason: view.reason,
    generation: view.generation,
  };
}

export function proposalText({ proposalId, command, signedBy, standing, reason, generation }: ProposalResult): string {
  const id = proposalId.slice(0, PROPOSAL_DIGITS);
  const state =
    standing === 'done'
      ? doneText(generation)
      : standing === 'collecting'
        ? `Not enough yet: ${reason}.\nThe next operator signs with: keyfleet domain approve ${id}`
        : standing === 'ready'
          ? `It has all its signatures, ${reason === '' ? 'and is about to be carried out.' : `but ${reason}`}`
          : `${standing}: ${reason}`;
  return [`Proposal ${id}`, ...command, `Signed by ${signedBy.join(', ')}.`, state].join('\n');
}

function doneText(generation: number): string {
  if (generation > 0) return `Done: the domain is at generation ${generation}.`;
  return 'Done, says the domain-manager: no worker is that member any more. No domain token proves it. See: keyfleet domain status';
}
