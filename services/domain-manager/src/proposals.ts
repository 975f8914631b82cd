import { hash } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import { nextState } from '@keyfleet/shared/domain/apply';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import {
  type DomainChange,
  parseDomainChange,
  parseProposal,
  Proposal,
  proposalId,
} from '@keyfleet/shared/domain/proposal';
import { verifyFounding, verifyProposal, verifySignatures } from '@keyfleet/shared/domain/quorum';
import { isSignatureOf } from '@keyfleet/shared/domain/signature';
import { assertMayBeMade } from '@keyfleet/shared/domain/valid-state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { type Decided, decidedBy } from './decided.ts';
import { hasRoom, makeRoom, PLACES } from './proposal-room.ts';
import type { ProposalStore, Signature, StoredProposal } from './store/store.ts';
import type { Head, TokenLog } from './token-log.ts';

/** Operators are people: they get a week to sign. */
const EXPIRES_AFTER_MS = 7 * 24 * 3_600_000;
/** Each costs a verification, so their number is limited. */
const MAX_SIGNATURES_AT_ONCE = 32;
/** More than the proposals that may wait ever have. */
const MAX_SIGNATURES_KNOWN = 16_384;

export type ProposalStanding =
  | { readonly standing: 'collecting'; readonly reason: string }
  | { readonly standing: 'ready'; readonly change: DomainChange }
  | { readonly standing: 'done'; readonly generation: number }
  | { readonly standing: 'failed'; readonly reason: string };

/** Why a proposal or a signature was refused. */
export class ProposalRefusedError extends Error {
  override name = 'ProposalRefusedError';
  readonly reason: 'invalid' | 'not-found' | 'full';

  constructor(reason: ProposalRefusedError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export interface ProposalsDeps {
  readonly store: ProposalStore;
  readonly tokens: TokenLog;
  readonly anchor: TrustAnchor;
  readonly clock: Clock;
}

/** Everything known by the operators and the state of one token. */
interface Verified {
  readonly head: Head | undefined;
  /** By the hash of the proposal with its signatures. */
  readonly standings: Map<string, ProposalStanding>;
  /** Whether it verifies, by proposal, operator and signature. */
  readonly signatures: Map<string, boolean>;
}

/**
 * Collects operators' signatures. It has no authority: the member that prepares a token verifies every signature and
 * the rule again. It verifies them too, so that only operators can fill the store, and people see mistakes early.
 */
export class Proposals {
  readonly #deps: ProposalsDeps;
  #proposing: Promise<unknown> = Promise.resolve();
  #reading: Promise<unknown> = Promise.resolve();
  /** What begins when `#reading` ends, for everyone who came meanwhile. */
  #next: Promise<readonly StoredProposal[]> | undefined;
  /**
   * Verification results for the newest token, by all of their inputs: anyone may ask for the list, and a signature
   * takes a millisecond.
   */
  #verified: Verified | undefined;
  /** By the proposal's id, which is the hash of its command: one with hundreds of operators takes milliseconds. */
  readonly #isChange = new Map<string, boolean>();

  constructor(deps: ProposalsDeps) {
    this.#deps = deps;
  }

  /**
   * Throws ProposalRefusedError unless the change is possible now and at least one operator signed it. Signatures that
   * do not verify are refused.
   */
  propose(bytes: Uint8Array): Promise<StoredProposal> {
    // One at a time, so that concurrent proposals cannot all find the same room.
    const proposed = this.#proposing.then(() => this.#propose(bytes));
    this.#proposing = proposed.catch(() => {});
    return proposed;
  }

  async #propose(bytes: Uint8Array): Promise<StoredProposal> {
    const proposal = orRefuse(() => this.#checked(bytes));
    await this.#makeRoom(proposal);
    const { store, clock } = this.#deps;
    const stored: StoredProposal = {
      proposalId: proposalId(proposal),
      command: proposal.command,
      signatures: proposal.signatures,
      expiresAt: clock.now() + EXPIRES_AFTER_MS,
    };
    if (!(await store.putProposal(stored, PLACES))) {
      throw new ProposalRefusedError('full', `${PLACES} proposals are waiting: sign them, or let them expire`);
    }
    return this.#get(stored.proposalId);
  }

  async approve(id: string, signature: Signature): Promise<StoredProposal> {
    const stored = await this.#get(id);
    const { command } = stored;
    orRefuse(() => this.#assertSigned({ command, signatures: [signature] }));
    await this.#deps.store.putProposal({ ...stored, signatures: [signature] }, PLACES);
    return this.#get(id);
  }

  /**
   * What is no proposal, or stands under the id of another, is left out, and so is what is no operator's signature: who
   * writes the store must not keep people from the rest.
   *
   * Anyone may ask, and all of it is megabytes: those who come while it is read share the next reading, so that each
   * has what was stored before he came.
   */
  list(): Promise<readonly StoredProposal[]> {
    return (this.#next ??= this.#reading.then(() => {
      this.#next = undefined;
      const read = this.#read();
      this.#reading = read.catch(() => {});
      return read;
    }));
  }

  async #read(): Promise<readonly StoredProposal[]> {
    const stored = await this.#deps.store.listProposals();
    return stored.filter((one) => this.#isGenuine(one)).map((one) => this.#asSigned(one));
  }

  /** Whether this can be shown as the proposal of its id, whoever signed it. */
  #isGenuine({ proposalId: id, command, expiresAt }: StoredProposal): boolean {
    if (id !== proposalId({ command, signatures: [] }) || !Number.isSafeInteger(expiresAt)) return false;
    if (this.#isChange.size > 4 * PLACES) this.#isChange.clear();
    return this.#isChange.getOrInsertComputed(id, () => isDomainChange(command));
  }

  #asSigned(stored: StoredProposal): StoredProposal {
    const { tokens, anchor } = this.#deps;
    const operators = tokens.head?.state.operators ?? anchor.operators;
    const { signatures: known } = this.#knownNow();
    if (known.size > MAX_SIGNATURES_KNOWN) known.clear();
    const signatures = stored.signatures.filter(({ operatorId, signature }) => {
      const operator = operators.find((one) => one.operatorId === operatorId);
      if (operator === undefined) return false;
      const one = `${stored.proposalId}/${operatorId}/${hash('sha256', signature)}`;
      return known.getOrInsertComputed(one, () => isSignatureOf(operator.signingKey, stored.command, signature));
    });
    return { ...stored, signatures };
  }

  standingOf(stored: StoredProposal): ProposalStanding {
    if (isLeft(stored)) return { standing: 'done', generation: this.#deps.tokens.generation };
    const proven = this.provenStandingOf(stored);
    const { failure } = stored;
    return proven.standing === 'ready' && failure !== undefined ? { standing: 'failed', reason: failure } : proven;
  }

  /**
   * The same, without believing the store that a member left, or that the change failed: whoever writes it could keep a
   * member in.
   */
  provenStandingOf({ proposalId: id, command, signatures }: StoredProposal): ProposalStanding {
    const generation = this.#deps.tokens.generationOf(id);
    if (generation !== undefined) return { standing: 'done', generation };
    return this.#verifiedOnce({ command, signatures: [...signatures] });
  }

  decided(waiting: readonly StoredProposal[]): Decided {
    const ready = waiting.flatMap((stored) => {
      const standing = this.provenStandingOf(stored);
      return standing.standing === 'ready' ? [{ id: stored.proposalId, change: standing.change }] : [];
    });
    return decidedBy(ready);
  }

  #verifiedOnce(proposal: Proposal): ProposalStanding {
    const { standings } = this.#knownNow();
    // Older entries belong to proposals that have gained signatures or are gone.
    if (standings.size > 4 * PLACES) standings.clear();
    return standings.getOrInsertComputed(hash('sha256', Proposal.encode(proposal)), () => this.#judged(proposal));
  }

  #knownNow(): Verified {
    const { head } = this.#deps.tokens;
    if (this.#verified?.head !== head) this.#verified = undefined;
    return (this.#verified ??= { head, standings: new Map(), signatures: new Map() });
  }

  #judged(proposal: Proposal): ProposalStanding {
    try {
      return { standing: 'ready', change: this.#verify(proposal) };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const standing = error.code === 'not-enough-signatures' ? 'collecting' : 'failed';
      return { standing, reason: error.message };
    }
  }

  async #get(id: string): Promise<StoredProposal> {
    const stored = await this.#deps.store.findProposal(id);
    if (stored === undefined || !this.#isGenuine(stored))
      throw new ProposalRefusedError('not-found', 'there is no such proposal, or it expired');
    return this.#asSigned(stored);
  }

  /** Throws DomainError unless the change is possible now and every signature is an operator's. */
  #checked(bytes: Uint8Array): Proposal {
    const proposal = parseProposal(bytes);
    const count = proposal.signatures.length;
    if (count === 0 || count > MAX_SIGNATURES_AT_ONCE) {
      throw new DomainError('not-enough-signatures', `a proposal must have 1 to ${MAX_SIGNATURES_AT_ONCE} signatures`);
    }
    this.#assertSigned(proposal);
    try {
      this.#assertPossible(this.#verify(proposal));
    } catch (error) {
      if (!(error instanceof DomainError && error.code === 'not-enough-signatures')) throw error;
      this.#assertPossible(parseDomainChange(proposal.command));
    }
    return proposal;
  }

  /** Throws DomainError unless the proposal has all its signatures and applies to the newest state. */
  #verify(proposal: Proposal): DomainChange {
    const { head } = this.#deps.tokens;
    return head === undefined ? verifyFounding(this.#deps.anchor, proposal) : verifyProposal(head, proposal);
  }

  #assertPossible(change: DomainChange): void {
    const { head } = this.#deps.tokens;
    assertMayBeMade(change);
    if (change.name === 'LeaveDomain' && change.body.memberId !== change.preparer) {
      throw new DomainError('invalid-change', 'the member that leaves must be the preparer');
    }
    if (head === undefined || change.name === 'LeaveDomain') return;
    const madeAt = Math.max(this.#deps.clock.now(), head.state.madeAt);
    nextState(head.state, change, { keyId: '0'.repeat(32), madeAt });
  }

  /** Throws DomainError unless every signature is by an operator whose role the change's rule requires. */
  #assertSigned(proposal: Proposal): void {
    const { tokens, anchor } = this.#deps;
    if (tokens.head === undefined) return void verifySignatures(anchor.operators, proposal);
    const { operators, rules } = tokens.head.state;
    const { name } = parseDomainChange(proposal.command);
    const alternatives = rules.find(({ command }) => command === name)?.alternatives ?? [];
    const roles = new Set(alternatives.flat().map(({ role }) => role));
    for (const { operatorId, role } of verifySignatures(operators, proposal)) {
      if (!roles.has(role)) throw new DomainError('forged', `${operatorId}, a ${role}, may not sign ${name}`);
    }
  }

  /** Throws ProposalRefusedError if there is none, because its signers have their share of what may wait. */
  async #makeRoom({ command, signatures }: Proposal): Promise<void> {
    const next = { proposalId: proposalId({ command, signatures: [] }), command, signatures };
    const others = (await this.list()).filter((one) => one.proposalId !== next.proposalId);
    if (hasRoom(next, others)) return;
    const ended = new Set(others.filter((one) => !this.#isLive(one)));
    const live = others.filter((one) => !ended.has(one));
    const dropped = makeRoom(next, live, [...ended]);
    if (dropped === undefined) {
      const names = signatures.map(({ operatorId }) => operatorId).join(', ');
      throw new ProposalRefusedError('full', `as much waits as may, and nobody signed more of it than ${names}`);
    }
    for (const one of dropped) await this.#deps.store.dropProposal(one.proposalId);
  }

  #isLive(stored: StoredProposal): boolean {
    if (stored.signatures.length === 0 || isLeft(stored)) return false;
    return ['collecting', 'ready'].includes(this.provenStandingOf(stored).standing);
  }
}

function isDomainChange(command: Uint8Array): boolean {
  try {
    parseDomainChange(command);
    return true;
  } catch {
    return false;
  }
}

/** LeaveDomain makes no token: what the store says is all that there is. */
function isLeft({ command, done }: StoredProposal): boolean {
  return done === true && parseDomainChange(command).name === 'LeaveDomain';
}

function orRefuse<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof DomainError) throw new ProposalRefusedError('invalid', error.message, { cause: error });
    throw error;
  }
}
