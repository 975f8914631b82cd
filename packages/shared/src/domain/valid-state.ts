import { DomainError } from './domain-error.ts';
import type { DomainChange } from './proposal.ts';
import { isPublicKeyEncoding } from './signature.ts';
import type { DomainKeyInfo, DomainState, Operator, Rule, RuledChange } from './state.ts';

/** These destroy nothing and admit nobody: a machine alone may do no others. */
export const forMachines: ReadonlySet<DomainChange['name']> = new Set(['RotateDomainKeys', 'RetireDomainKeys']);
/**
 * How long after the last rotation a member makes the next for whoever may not change the members. Each token is kept
 * for ever and 140 bytes larger than the one before, until domain keys are dropped, so that all of them grow with the
 * square of their number: 12 MB in two weeks, 370 MB in three months, 1.1 GB when rotations stop for want of places. At
 * ten minutes that would be within a month. A domain-manager holds them all in memory (deploy/k8s has room for these).
 */
export const ROTATION_PAUSE_MS = 60 * 60_000;

/** In every state, including those of old chains: these decide what opens and what is lost. */
const forPeopleOnly: ReadonlySet<RuledChange> = new Set(['ReinstateDomainKeys', 'DropDomainKeys']);

/** Throws `DomainError('invalid-change')` for a state that no domain change may make. */
export function assertValidState(state: DomainState): void {
  const { version, members, operators, domainKeys, rules, madeAt } = state;
  assertDistinct(
    'member id',
    members.map(({ memberId }) => memberId),
  );
  assertDistinct(
    'operator id',
    operators.map(({ operatorId }) => operatorId),
  );
  assertDistinct(
    'domain key',
    domainKeys.map(({ id }) => id),
  );
  assertDistinct(
    'rule',
    rules.map(({ command }) => command),
  );
  assertKeysOfOneOwner(state);
  if (members.length === 0) throw invalid('a domain without members has lost its keys');
  if (version >= 2 && operators.every(({ role }) => role !== 'scheduler')) {
    throw invalid('a domain without a scheduler has nobody whose calls its members take');
  }
  domainKeys.forEach((key, i) => assertDomainKeyInOrder(key, domainKeys[i + 1]));
  if (domainKeys.at(-1)!.createdAt > madeAt) throw invalid('a domain key is from the future');
  for (const rule of rules) assertPossible(rule, operators);
}

/**
 * Called when making the token of a change and when signing one, but not when verifying chains: some older changes let
 * machines do more, gave up the rules for good, or made no domain key when they removed a frontend, and stay valid.
 * Throws `DomainError('invalid-change')`.
 */
export function assertMayBeMade(change: DomainChange): void {
  if (change.name === 'ModifyOperators' && change.body.keepsDomainKeys) {
    throw invalid('it is in the first release’s form, which makes no domain key when it removes a frontend');
  }
  if (change.name !== 'CreateDomain' && change.name !== 'ModifyRules') return;
  for (const { command, alternatives } of change.body.rules) {
    if (!forMachines.has(command) && alternatives.some(isForMachines)) throw mustAskPeople(command);
  }
  if (change.body.rules.every(({ command }) => command !== 'ModifyRules')) {
    throw invalid('without a rule for ModifyRules no rule could ever be changed again');
  }
}

function isForMachines(alternative: Rule['alternatives'][number]): boolean {
  return alternative.every(({ role }) => role !== 'operator');
}

function mustAskPeople(command: RuledChange): DomainError {
  return invalid(`every way to allow ${command} must ask for an operator`);
}

/** A person with two names would count twice, and signatures by a key in two roles would mean two things. */
function assertKeysOfOneOwner({ operators, members }: DomainState): void {
  const p384 = [
    ...operators.map(({ signingKey }) => signingKey),
    ...members.flatMap(({ signingKey, agreementKey }) => [signingKey, agreementKey]),
  ];
  for (const key of p384) if (!isPublicKeyEncoding(key)) throw invalid('a public key is not a P-384 key');
  const kem = members.flatMap(({ encapsulationKey }) => encapsulationKey ?? []);
  assertDistinct(
    'public key',
    [...p384, ...kem].map((key) => Buffer.from(key).toString('base64')),
  );
}

function assertDomainKeyInOrder(key: DomainKeyInfo, next: DomainKeyInfo | undefined): void {
  if ((key.status === 'active') !== (next === undefined))
    throw invalid('the newest domain key, and only it, is active');
  if (next !== undefined && (key.createdGeneration >= next.createdGeneration || key.createdAt > next.createdAt)) {
    throw invalid('domain keys are out of order');
  }
}

/** A rule that nobody can meet would lock everyone out. To deny a change, leave its rule out. */
function assertPossible({ command, alternatives }: Rule, people: readonly Operator[]): void {
  for (const alternative of alternatives) {
    assertDistinct(
      `role in a rule for ${command}`,
      alternative.map(({ role }) => role),
    );
    if (forPeopleOnly.has(command) && isForMachines(alternative)) throw mustAskPeople(command);
  }
  const canMeet = alternatives.some((alternative) =>
    alternative.every(({ role, minimum }) => people.filter((one) => one.role === role).length >= minimum),
  );
  if (!canMeet) throw invalid(`the operators could never meet the rule for ${command}`);
}

function assertDistinct(what: string, values: readonly string[]): void {
  if (new Set(values).size !== values.length) throw invalid(`the same ${what} twice`);
}

function invalid(message: string): DomainError {
  return new DomainError('invalid-change', message);
}
