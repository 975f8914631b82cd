import { DomainError } from './domain-error.ts';
import { type DomainChange, parseDomainChange, type Proposal } from './proposal.ts';
import { isSignatureOf } from './signature.ts';
import type { DomainState, DomainVersion, Operator, Rule, VerifiedDomain } from './state.ts';
import type { TrustAnchor } from './trust-anchor.ts';

/**
 * Returns the change of a proposal that the rules of `previous` allow: it is bound to this domain and this very token,
 * every signature verifies and is by a distinct operator, and together they meet one alternative of the change's rule.
 * One that asks for no witness must also be signed by those who may change the members. A change of a version before
 * `oldest` is refused; only code that verifies old tokens accepts versions 1 and 2. Throws `DomainError`.
 */
export function verifyProposal(previous: VerifiedDomain, proposal: Proposal, oldest: DomainVersion = 3): DomainChange {
  const { state, hash } = previous;
  const change = parseDomainChange(proposal.command);
  assertBound(change, state, hash);
  assertVersion(change, oldest);
  const signers = verifySignatures(state.operators, proposal);
  const rule = state.rules.find(({ command: name }) => name === change.name);
  if (rule === undefined) throw new DomainError('no-rule', `the domain has no rule that allows ${change.name}`);
  if (!isMet(rule, signers)) {
    throw new DomainError('not-enough-signatures', `these signatures do not meet the rule for ${change.name}`);
  }
  if (change.unwitnessed && !mayModifyMembers(state, proposal)) {
    throw new DomainError(
      'not-enough-signatures',
      'a change whose token no other member confirms must be signed by those who may change the members',
    );
  }
  return change;
}

/** CreateDomain, signed by enough founders of the trust anchor. Throws `DomainError`. */
export function verifyFounding(
  { domain, minimum, operators }: TrustAnchor,
  proposal: Proposal,
  oldest: DomainVersion = 3,
): Extract<DomainChange, { name: 'CreateDomain' }> {
  const change = parseDomainChange(proposal.command);
  assertBound(change, { domain, generation: 0 }, Buffer.alloc(32));
  assertVersion(change, oldest);
  if (change.name !== 'CreateDomain') throw new DomainError('wrong-state', 'a domain begins with CreateDomain');
  if (verifySignatures(operators, proposal).length < minimum) {
    throw new DomainError('not-enough-signatures', `${minimum} founders of the trust anchor must sign CreateDomain`);
  }
  return change;
}

/** Returns the signers. Throws `DomainError` unless every signature verifies and is by a distinct known operator. */
export function verifySignatures<O extends { readonly operatorId: string; readonly signingKey: Uint8Array }>(
  operators: readonly O[],
  { command, signatures }: Proposal,
): O[] {
  if (new Set(signatures.map(({ operatorId }) => operatorId)).size !== signatures.length) {
    throw new DomainError('repeated-signer', 'an operator signed twice');
  }
  return signatures.map(({ operatorId, signature }) => {
    const operator = operators.find((one) => one.operatorId === operatorId);
    if (operator === undefined) throw new DomainError('forged', `${operatorId} is not an operator who may sign this`);
    if (!isSignatureOf(operator.signingKey, command, signature)) {
      throw new DomainError('forged', `the signature of ${operatorId} does not verify`);
    }
    return operator;
  });
}

/** Whether distinct `signers` meet every requirement of at least one alternative. */
export function isMet({ alternatives }: Rule, signers: readonly Operator[]): boolean {
  return alternatives.some((alternative) =>
    alternative.every(({ role, minimum }) => signers.filter((signer) => signer.role === role).length >= minimum),
  );
}

/** Those whose role a rule names. Most operators of a large domain are service hosts, which sign nothing. */
export function possibleSigners({ rules, operators }: Pick<DomainState, 'rules' | 'operators'>): Operator[] {
  const roles = new Set(rules.flatMap(({ alternatives }) => alternatives.flat()).map(({ role }) => role));
  return operators.filter(({ role }) => roles.has(role));
}

/** What is known to have been signed: a proposal, or what a store has of one. */
export interface Signed {
  readonly signatures: readonly { readonly operatorId: string }[];
}

/** Whether those signed who may change the members. */
export function mayModifyMembers({ rules, operators }: DomainState, { signatures }: Signed): boolean {
  const signers = new Set(signatures.map(({ operatorId }) => operatorId));
  const trusted = rules.find(({ command }) => command === 'ModifyMembers');
  return (
    trusted !== undefined &&
    isMet(
      trusted,
      operators.filter(({ operatorId }) => signers.has(operatorId)),
    )
  );
}

function assertBound(
  change: DomainChange,
  { domain, generation }: { domain: string; generation: number },
  hash: Uint8Array,
): void {
  if (change.domain !== domain) throw new DomainError('other-domain', `the change is for domain ${change.domain}`);
  if (change.generation !== generation) {
    throw new DomainError(
      change.generation < generation ? 'stale' : 'skipped',
      `the change is for generation ${change.generation}, the domain is at ${generation}`,
    );
  }
  if (change.version >= 2 && Buffer.compare(change.previousHash, hash) !== 0) {
    throw new DomainError('forked', `the change is for another token of generation ${generation} than the domain's`);
  }
}

function assertVersion({ version }: DomainChange, oldest: DomainVersion): void {
  if (version < oldest) throw new DomainError('outdated', `the change is of version ${version}: propose it again`);
}
