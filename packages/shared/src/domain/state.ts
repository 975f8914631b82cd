import { z } from 'zod';
import { bytes, defineFormat } from '../encoding/canonical.ts';
import { DomainError } from './domain-error.ts';
import { isPublicKeyEncoding, publicKeyLength } from './signature.ts';

export const domainName = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/);
/** Names of members and operators; printed in terminals and logs, hence no other characters. */
export const entityId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/);
export const publicKey = bytes({ min: publicKeyLength, max: publicKeyLength });
export const sha256Hash = bytes({ min: 32, max: 32 });

/** An HSM, by its identity: both keys are P-384, DER SubjectPublicKeyInfo. */
const memberSchema = z.object({ memberId: entityId, signingKey: publicKey, agreementKey: publicKey });
export type Member = z.output<typeof memberSchema>;
export const members = z.array(memberSchema).max(256);

/** `operator`: a person. `service-host`: a frontend. `scheduler`: a domain-manager. */
export const roles = ['operator', 'service-host', 'scheduler'] as const;
export type Role = (typeof roles)[number];

const operatorSchema = z.object({ operatorId: entityId, role: z.enum(roles), signingKey: publicKey });
export type Operator = z.output<typeof operatorSchema>;
export const operators = z.array(operatorSchema).max(1024);

/** CreateDomain has no rule: the trust anchor says who may. */
export const ruledCommands = [
  'RotateDomainKeys',
  'ModifyMembers',
  'ModifyOperators',
  'ModifyRules',
  'LeaveDomain',
] as const;
export type RuledCommand = (typeof ruledCommands)[number];

/** Every requirement of one alternative must be met by distinct operators of the role. */
const requirement = z.object({ role: z.enum(roles), minimum: z.int().min(1).max(1024) });
const ruleSchema = z.object({
  command: z.enum(ruledCommands),
  alternatives: z.array(z.array(requirement).min(1).max(8)).min(1).max(16),
});
export type Rule = z.output<typeof ruleSchema>;
export const rules = z.array(ruleSchema).max(ruledCommands.length);

/** 32 hexadecimal digits. */
export const domainKeyId = z.string().regex(/^[0-9a-f]{32}$/);

/** The public side of a domain key. Times are milliseconds since the epoch. */
const domainKeyInfoSchema = z.object({
  id: domainKeyId,
  createdGeneration: z.int().min(1),
  createdAt: z.int().min(0),
  status: z.enum(['active', 'deactivated']),
});
export type DomainKeyInfo = z.output<typeof domainKeyInfoSchema>;

export const backupHorizonMs = z.int().min(0);

/** The public state of a domain: all that its members, its frontends and anyone else may know. */
export const DomainState = defineFormat(
  'keyfleet/domain-state/1',
  z.object({
    domain: domainName,
    /** 1 for the state that CreateDomain makes; every token adds one. */
    generation: z.int().min(1),
    members,
    operators,
    rules,
    /** Oldest first; the last one is the active one. */
    domainKeys: z.array(domainKeyInfoSchema).min(1).max(4096),
    /** A domain key is kept this long after it was deactivated: a backup may hold tokens under it. */
    backupHorizonMs,
  }),
);
export type DomainState = ReturnType<typeof DomainState.decode>;

export function activeDomainKey({ domainKeys }: DomainState): DomainKeyInfo {
  return domainKeys.at(-1)!;
}

/** Whether the state has this very HSM: a name with other keys is another one. */
export function isMember({ members: hsms }: DomainState, hsm: Member): boolean {
  const found = hsms.find(({ memberId }) => memberId === hsm.memberId);
  return (
    found !== undefined &&
    isSameKey(found.signingKey, hsm.signingKey) &&
    isSameKey(found.agreementKey, hsm.agreementKey)
  );
}

function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** When the key stopped being the active one: when its successor was made. Undefined for the active key. */
export function deactivatedAt({ domainKeys }: DomainState, id: string): number | undefined {
  const at = domainKeys.findIndex((key) => key.id === id);
  return at < 0 ? undefined : domainKeys[at + 1]?.createdAt;
}

/** Throws `DomainError('invalid-change')` for a state that no command may make. */
export function assertValidState(state: DomainState): void {
  const { members: hsms, operators: people, domainKeys } = state;
  assertDistinct(
    'member id',
    hsms.map(({ memberId }) => memberId),
  );
  assertDistinct(
    'operator id',
    people.map(({ operatorId }) => operatorId),
  );
  assertDistinct(
    'domain key',
    domainKeys.map(({ id }) => id),
  );
  assertDistinct(
    'rule',
    state.rules.map(({ command }) => command),
  );
  // One person with two names would count twice; one key in two roles would make signatures mean two things.
  const keys = [...people.map((one) => one.signingKey), ...hsms.flatMap((hsm) => [hsm.signingKey, hsm.agreementKey])];
  for (const key of keys) if (!isPublicKeyEncoding(key)) throw invalid('a public key is not a P-384 key');
  assertDistinct(
    'public key',
    keys.map((key) => Buffer.from(key).toString('base64')),
  );
  if (hsms.length === 0) throw invalid('a domain without members has lost its keys');
  domainKeys.forEach((key, i) => assertDomainKeyInOrder(key, domainKeys[i + 1]));
  for (const rule of state.rules) assertSatisfiable(rule, people);
}

function assertDomainKeyInOrder(key: DomainKeyInfo, next: DomainKeyInfo | undefined): void {
  if ((key.status === 'active') !== (next === undefined))
    throw invalid('the newest domain key, and only it, is active');
  if (next !== undefined && (key.createdGeneration >= next.createdGeneration || key.createdAt > next.createdAt)) {
    throw invalid('domain keys are out of order');
  }
}

/** A rule nobody can meet would lock everyone out; who wants a command denied leaves its rule out. */
function assertSatisfiable({ command, alternatives }: Rule, people: readonly Operator[]): void {
  for (const alternative of alternatives)
    assertDistinct(
      `role in a rule for ${command}`,
      alternative.map(({ role }) => role),
    );
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
