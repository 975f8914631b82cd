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
import { PLACES } from './proposal-room.ts';
import type { StoredProposal } from './store/store.ts';
import type { Head, TokenLog } from './token-log.ts';

/** Each costs a verification, so their number is limited. */
const MAX_SIGNATURES_AT_ONCE = 32;
/** More than the proposals that may wait ever have. */
const MAX_SIGNATURES_KNOWN = 16_384;

export type ProposalStanding =
  | { readonly standing: 'collecting'; readonly reason: string }
  | { readonly standing: 'ready'; readonly change: DomainChange }
  | { readonly standing: 'done'; readonly generation: number }
  | { readonly standing: 'failed'; readonly reason: string };

export interface ProposalVerifierDeps {
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
 * What a proposal is worth by the newest state. It has no authority: the member that prepares a token verifies every
 * signature and the rule again. It verifies them too, so that only operators can fill the store, and people see
 * mistakes early.
 */
export class ProposalVerifier {
  readonly #deps: ProposalVerifierDeps;
  /**
   * Verification results for the newest token, by all of their inputs: anyone may ask for the list, and a signature
   * takes a millisecond.
   */
  #verified: Verified | undefined;
  /** By the proposal's id, which is the hash of its command: one with hundreds of operators takes milliseconds. */
  readonly #isChange = new Map<string, boolean>();

  constructor(deps: ProposalVerifierDeps) {
    this.#deps = deps;
  }

  /** Throws DomainError unless the change is possible now and every signature is an operator's. */
  checked(bytes: Uint8Array): Proposal {
    const proposal = parseProposal(bytes);
    const count = proposal.signatures.length;
    if (count === 0 || count > MAX_SIGNATURES_AT_ONCE) {
      throw new DomainError('not-enough-signatures', `a proposal must have 1 to ${MAX_SIGNATURES_AT_ONCE} signatures`);
    }
    this.assertSigned(proposal);
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
  assertSigned(proposal: Proposal): void {
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

  /** Whether this can be shown as the proposal of its id, whoever signed it. */
  isGenuine({ proposalId: id, command, expiresAt }: StoredProposal): boolean {
    if (id !== proposalId({ command, signatures: [] }) || !Number.isSafeInteger(expiresAt)) return false;
    if (this.#isChange.size > 4 * PLACES) this.#isChange.clear();
    return this.#isChange.getOrInsertComputed(id, () => isDomainChange(command));
  }

  /** With the signatures that operators have made. */
  asSigned(stored: StoredProposal): StoredProposal {
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

  /** How far it is by its signatures alone. */
  judged(proposal: Proposal): ProposalStanding {
    const { standings } = this.#knownNow();
    // Older entries belong to proposals that have gained signatures or are gone.
    if (standings.size > 4 * PLACES) standings.clear();
    return standings.getOrInsertComputed(hash('sha256', Proposal.encode(proposal)), () => this.#verdictOn(proposal));
  }

  #knownNow(): Verified {
    const { head } = this.#deps.tokens;
    if (this.#verified?.head !== head) this.#verified = undefined;
    return (this.#verified ??= { head, standings: new Map(), signatures: new Map() });
  }

  #verdictOn(proposal: Proposal): ProposalStanding {
    try {
      return { standing: 'ready', change: this.#verify(proposal) };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const standing = error.code === 'not-enough-signatures' ? 'collecting' : 'failed';
      return { standing, reason: error.message };
    }
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
