import { type ChannelCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import type { Proposal__Output } from '@keyfleet/proto/gen/keyfleet/domain/v1/Proposal';
import type { StatusResponse__Output } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import { channelOptions, unary } from '@keyfleet/proto/unary';
import { systemClock } from '@keyfleet/shared/clock';
import { assertNotFromFuture, follow, verifyChain } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import {
  type OperatorSignature,
  parseDomainChange,
  parseProposal,
  Proposal,
  proposalId,
} from '@keyfleet/shared/domain/proposal';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken, tokenHash } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { CliError } from './cli-error.ts';

const TIMEOUT_MS = 10_000;
const DONE_WITHIN_MS = 30_000;
const POLL_MS = 200;
/**
 * Of a proposal's id, as many as nobody makes another proposal for: what one operator shows, the next approves, and the
 * domain-manager between them may be hostile.
 */
export const PROPOSAL_DIGITS = 32;

const Standing = z.enum(['collecting', 'ready', 'done', 'failed']);
export type Standing = z.output<typeof Standing>;

export interface ProposalView {
  readonly proposalId: string;
  readonly proposal: Proposal;
  readonly standing: Standing;
  readonly reason: string;
  readonly expiresAt: number;
  readonly generation: number;
}

export interface Chain {
  readonly tokens: readonly Buffer[];
  /** What the newest one says; undefined before the ceremony. */
  readonly domain: VerifiedDomain | undefined;
}

/**
 * A domain-manager from an operator's side. A proposal's standing is only its claim; tokens, and which proposal it is,
 * are verified. Throws CliError.
 */
export class DomainManagerClient implements Disposable {
  readonly #address: string;
  readonly #client: InstanceType<typeof DomainManager>;

  /** `address`: host:port. */
  constructor(address: string, credentials: ChannelCredentials) {
    this.#address = address;
    this.#client = new DomainManager(address, credentials, channelOptions);
  }

  /** Every domain token, oldest first, each verified as it comes: who answers may never end. */
  async fetchChain(anchor: TrustAnchor): Promise<Chain> {
    const all: Buffer[] = [];
    let domain: VerifiedDomain | undefined;
    for (;;) {
      const { tokens = [] } = await this.#call(
        unary(this.#client, DomainManager.service.FetchTokens, { after_generation: all.length }, TIMEOUT_MS),
      );
      if (tokens.length === 0) break;
      for (const token of tokens) domain = follow(anchor, domain, parseToken(token));
      all.push(...tokens);
    }
    if (domain === undefined && anchor.checkpoint !== undefined) {
      const { generation } = anchor.checkpoint;
      throw new DomainError(
        'rolled-back',
        `there is no domain token, and the trust anchor's checkpoint is ${generation}`,
      );
    }
    return { tokens: all, domain: domain && verifiedNow(anchor, [], domain) };
  }

  /** The newest state, verified from the trust anchor; undefined before the ceremony. */
  async findDomain(anchor: TrustAnchor): Promise<VerifiedDomain | undefined> {
    return (await this.fetchChain(anchor)).domain;
  }

  async getDomain(anchor: TrustAnchor): Promise<VerifiedDomain> {
    return (await this.getChain(anchor)).domain;
  }

  /** The tokens and the state that these very ones lead to: asked twice, a domain-manager may show two chains. */
  async getChain(anchor: TrustAnchor): Promise<Chain & { readonly domain: VerifiedDomain }> {
    const { tokens, domain } = await this.fetchChain(anchor);
    if (domain !== undefined) return { tokens, domain };
    throw new CliError(`the domain '${anchor.domain}' does not exist yet. Found it with: keyfleet domain create`);
  }

  async propose(proposal: Proposal): Promise<ProposalView> {
    const request = { proposal: Proposal.encode(proposal) };
    const answer = await this.#call(unary(this.#client, DomainManager.service.Propose, request, TIMEOUT_MS));
    return viewOf(answer, proposalId(proposal));
  }

  async approve(id: string, { operatorId, signature }: OperatorSignature): Promise<ProposalView> {
    const request = { proposal_id: id, operator_id: operatorId, signature: Buffer.from(signature) };
    return viewOf(await this.#call(unary(this.#client, DomainManager.service.Approve, request, TIMEOUT_MS)), id);
  }

  async listProposals(): Promise<ProposalView[]> {
    const { proposals = [] } = await this.#call(
      unary(this.#client, DomainManager.service.ListProposals, {}, TIMEOUT_MS),
    );
    return proposals.map((proposal) => viewOf(proposal));
  }

  /** By its id, or the first `PROPOSAL_DIGITS` of it or more. */
  async getProposal(id: string): Promise<ProposalView> {
    if (id.length < PROPOSAL_DIGITS)
      throw new CliError(
        `${id}: give ${PROPOSAL_DIGITS} digits of the id, as the proposal is shown: another may begin with fewer`,
      );
    const found = (await this.listProposals()).find((view) => view.proposalId.startsWith(id));
    if (found === undefined)
      throw new CliError(`there is no proposal ${id}, or it expired. See: keyfleet domain proposals`);
    return found;
  }

  /**
   * Waits until a fully signed proposal is carried out, and shows it itself: its token is in the chain. Goes on while
   * the domain-manager is out of reach, or its store is. Throws CliError if it fails or `timeoutMs` is over.
   */
  async awaitDone(id: string, anchor: TrustAnchor, timeoutMs = DONE_WITHIN_MS): Promise<ProposalView> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = await this.#findDone(id, anchor).catch(passingProblem);
      if (typeof found !== 'string') return found;
      if (Date.now() > deadline)
        throw new CliError(`the proposal is not carried out yet (${found}). See: keyfleet domain status`);
      await delay(POLL_MS);
    }
  }

  /** The proposal with the generation that it made, or why there is none yet. */
  async #findDone(id: string, anchor: TrustAnchor): Promise<ProposalView | string> {
    const view = await this.getProposal(id);
    const { standing, reason } = view;
    if (standing === 'failed') throw new CliError(`the proposal failed: ${reason}`);
    if (standing !== 'done') return reason === '' ? standing : `${standing}: ${reason}`;
    const generation = await this.#generationMadeBy(view, anchor);
    return generation === undefined ? 'done, says the domain-manager, without proof' : { ...view, generation };
  }

  /**
   * The generation of the verified token that holds the proposal; undefined if none does. LeaveDomain makes no token:
   * 0 if no worker is that member any more, which only the domain-manager says.
   */
  async #generationMadeBy(
    { proposalId: id, proposal }: ProposalView,
    anchor: TrustAnchor,
  ): Promise<number | undefined> {
    const change = parseDomainChange(proposal.command);
    if (change.name === 'LeaveDomain') {
      const { workers = [] } = await this.status();
      const isThere = workers.some(
        ({ member_id: member, standing }) =>
          member === change.body.memberId && (standing === 'member' || standing === 'removed'),
      );
      return isThere ? undefined : 0;
    }
    const { tokens } = await this.fetchChain(anchor);
    const index = tokens.findIndex((token) => proposalId(parseToken(token).proposal) === id);
    return index === -1 ? undefined : index + 1;
  }

  /** That it was stored is only the domain-manager's word: see `generationOf`. */
  async storeToken(token: Uint8Array): Promise<void> {
    const request = { token: Buffer.from(token) };
    await this.#call(unary(this.#client, DomainManager.service.StoreToken, request, TIMEOUT_MS));
  }

  /**
   * The generation of a token that the verified chain holds, perhaps under another signature; undefined if it does not.
   */
  async generationOf(token: Uint8Array, anchor: TrustAnchor): Promise<number | undefined> {
    const { tokens } = await this.fetchChain(anchor);
    const hash = tokenHash(token);
    const index = tokens.findIndex((one) => tokenHash(one).equals(hash));
    return index === -1 ? undefined : index + 1;
  }

  status(): Promise<StatusResponse__Output> {
    return this.#call(unary(this.#client, DomainManager.service.Status, {}, TIMEOUT_MS));
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  async #call<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (cause) {
      const { code, details } = cause as ServiceError;
      const unreachable = code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED;
      const troubled = code === status.DATA_LOSS || code === status.INTERNAL;
      const what = unreachable
        ? `cannot reach the domain-manager at ${this.#address}`
        : `the domain-manager ${troubled ? 'is in trouble' : 'refused'}`;
      throw new CliError(`${what}: ${details}`, { cause });
    }
  }
}

/** Before and after it the domain-manager may well answer: it restarts, or does not reach its store for a moment. */
const passing: ReadonlySet<unknown> = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.INTERNAL]);

/** What passes by itself, as text. Throws everything else. */
function passingProblem(error: unknown): string {
  if (error instanceof CliError && passing.has((error.cause as Partial<ServiceError> | undefined)?.code))
    return error.message;
  throw error;
}

/**
 * The end of the chain, or of what follows `known`, which must not be from the future by the local clock. Throws
 * DomainError.
 */
export function verifiedNow(
  anchor: TrustAnchor,
  tokens: readonly Uint8Array[],
  known?: VerifiedDomain,
): VerifiedDomain {
  const verified = verifyChain(anchor, tokens, known);
  assertNotFromFuture(verified, systemClock.now());
  return verified;
}

/**
 * Computes the id here. Throws CliError if the domain-manager gives the proposal another id, returns another proposal
 * than `expected`, or invents a standing.
 */
function viewOf(message: Proposal__Output, expected = message.proposal_id ?? ''): ProposalView {
  const proposal = parseProposal(message.proposal ?? Buffer.alloc(0));
  const id = proposalId(proposal);
  if (message.proposal_id !== id || id !== expected) {
    throw new CliError(`the domain-manager shows proposal ${id} as ${expected}: trust nothing that it says`);
  }
  const standing = Standing.safeParse(message.standing);
  if (!standing.success) {
    throw new CliError(`the domain-manager gives a proposal the unknown standing '${message.standing}'`);
  }
  return {
    proposalId: id,
    proposal,
    standing: standing.data,
    reason: message.reason ?? '',
    expiresAt: message.expires_at ?? 0,
    generation: message.generation ?? 0,
  };
}
