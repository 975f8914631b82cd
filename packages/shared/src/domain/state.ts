import { z } from 'zod';
import { bytes, defineFormat, type Format, isLabelled } from '../encoding/canonical.ts';
import { encapsulationKeyLength } from './encapsulation.ts';
import { publicKeyLength } from './signature.ts';

/**
 * The version of what operators and members sign. Members make only version 3, but a chain may begin with tokens of
 * version 1, and go on with those of version 2.
 */
export type DomainVersion = 1 | 2 | 3;

export const domainName = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/);
/** Names of members and operators. They are printed in terminals and logs, so no other characters are allowed. */
export const entityId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/);
export const publicKey = bytes({ min: publicKeyLength, max: publicKeyLength });
export const encapsulationKey = bytes({ min: encapsulationKeyLength, max: encapsulationKeyLength });
export const sha256Hash = bytes({ min: 32, max: 32 });

const memberV1 = z.object({ memberId: entityId, signingKey: publicKey, agreementKey: publicKey });
const newMemberV2 = memberV1.extend({ encapsulationKey });
const memberV2 = memberV1.extend({ encapsulationKey: encapsulationKey.optional() });
/** Said of a member that lies in a safe, and so is asked to witness nothing. */
const offline = z.boolean().refine(Boolean).optional();
const newMember = newMemberV2.extend({ offline });
const memberSchema = memberV2.extend({ offline });
/**
 * An HSM's identity: two keys on P-384, DER SubjectPublicKeyInfo, and one of ML-KEM-1024, which members admitted by
 * version 1 lack.
 */
export type Member = z.output<typeof memberSchema>;
/** A member that may be admitted. */
export type NewMember = z.output<typeof newMember>;
export const MAX_MEMBERS = 256;
export const membersV1 = z.array(memberV1).max(MAX_MEMBERS);
export const newMembersV2 = z.array(newMemberV2).max(MAX_MEMBERS);
export const newMembers = z.array(newMember).max(MAX_MEMBERS);
export const members = z.array(memberSchema).max(MAX_MEMBERS);

/** `operator`: a person. `service-host`: a frontend. `scheduler`: a domain-manager. */
export const roles = ['operator', 'service-host', 'scheduler'] as const;
export type Role = (typeof roles)[number];

const operatorSchema = z.object({ operatorId: entityId, role: z.enum(roles), signingKey: publicKey });
export type Operator = z.output<typeof operatorSchema>;
export const operators = z.array(operatorSchema).max(1024);

const ruledChangesV1 = ['RotateDomainKeys', 'ModifyMembers', 'ModifyOperators', 'ModifyRules', 'LeaveDomain'] as const;
/** CreateDomain has no rule: the trust anchor decides who may sign it. */
export const ruledChanges = [
  'RotateDomainKeys',
  'RetireDomainKeys',
  'ReinstateDomainKeys',
  'DropDomainKeys',
  'ModifyMembers',
  'ModifyOperators',
  'ModifyRules',
  'LeaveDomain',
] as const;
export type RuledChange = (typeof ruledChanges)[number];

/** Distinct operators of the role must meet every requirement of one alternative. */
const requirement = z.object({ role: z.enum(roles), minimum: z.int().min(1).max(1024) });
const alternatives = z.array(z.array(requirement).min(1).max(8)).min(1).max(16);
export const rulesV1 = z.array(z.object({ command: z.enum(ruledChangesV1), alternatives })).max(ruledChangesV1.length);
const ruleSchema = z.object({ command: z.enum(ruledChanges), alternatives });
export type Rule = z.output<typeof ruleSchema>;
export const rules = z.array(ruleSchema).max(ruledChanges.length);

/** 32 hexadecimal digits. */
export const domainKeyId = z.string().regex(/^[0-9a-f]{32}$/);

/** `active`: seals and opens. `deactivated`: only opens. `retired`: neither, until it is reinstated. */
const domainKeyStatuses = ['active', 'deactivated', 'retired'] as const;
export type DomainKeyStatus = (typeof domainKeyStatuses)[number];

const domainKeyInfoV1 = z.object({
  id: domainKeyId,
  createdGeneration: z.int().min(1),
  createdAt: z.int().min(0),
  status: z.enum(['active', 'deactivated']),
});
/** The public side of a domain key. Times are milliseconds since the epoch. */
const domainKeyInfoSchema = domainKeyInfoV1.extend({
  status: z.enum(domainKeyStatuses),
  /** Made because a member or a service host was removed; it never held this key, nor saw anything sealed under it. */
  afterRemoval: z.boolean(),
});
export type DomainKeyInfo = z.output<typeof domainKeyInfoSchema>;
export const MAX_DOMAIN_KEYS = 4096;
/**
 * Rotations leave this many places for removals, which make domain keys too: a party that may only rotate must not be
 * able to block removals.
 */
const PLACES_FOR_REMOVALS = 256;

export const backupHorizonMs = z.int().min(0);

const StateV1 = defineFormat(
  'keyfleet/domain-state/1',
  z.object({
    domain: domainName,
    generation: z.int().min(1),
    members: membersV1,
    operators,
    rules: rulesV1,
    domainKeys: z.array(domainKeyInfoV1).min(1).max(MAX_DOMAIN_KEYS),
    backupHorizonMs,
  }),
);

function stateFields<M extends z.ZodType>(membersSchema: M) {
  return z.object({
    domain: domainName,
    /** 1 for the state that CreateDomain makes; every token adds one. */
    generation: z.int().min(1),
    /** By the clock of the member that made the token; never decreases from one token to the next. */
    madeAt: z.int().min(0),
    members: membersSchema,
    operators,
    rules,
    /** Oldest first; the last is the active one. */
    domainKeys: z.array(domainKeyInfoSchema).min(1).max(MAX_DOMAIN_KEYS),
    /** How long a domain key is kept after it was deactivated: a backup may hold tokens under it. */
    backupHorizonMs,
  });
}

const StateV2 = defineFormat('keyfleet/domain-state/2', stateFields(z.array(memberV2).max(MAX_MEMBERS)));
const StateV3 = defineFormat('keyfleet/domain-state/3', stateFields(members));

/** The public state of a domain: everything that its members, its frontends and anyone else may know. */
export type DomainState = ReturnType<typeof StateV3.decode> & { readonly version: DomainVersion };

/** Reads all versions, and writes each state in its own: a member signed those bytes. */
export const DomainState: Format<DomainState> = {
  label: StateV3.label,
  encode(state) {
    if (state.version === 1) return StateV1.encode(state as Parameters<typeof StateV1.encode>[0]);
    return state.version === 2 ? StateV2.encode(state) : StateV3.encode(state);
  },
  decode(input) {
    if (isLabelled(StateV1, input)) return upgraded(StateV1.decode(input));
    if (isLabelled(StateV2, input)) return { version: 2, ...StateV2.decode(input) };
    return { version: 3, ...StateV3.decode(input) };
  },
};

/**
 * Fills in what version 1 lacks: its time is that of its newest key, and no key is known to be from after a removal.
 */
function upgraded(state: ReturnType<typeof StateV1.decode>): DomainState {
  const domainKeys = state.domainKeys.map((key) => ({ ...key, afterRemoval: false }));
  return { version: 1, ...state, domainKeys, madeAt: domainKeys.at(-1)!.createdAt };
}

/** A state that was verified from the trust anchor, and the hash of the token that made it. */
export interface VerifiedDomain {
  readonly state: DomainState;
  readonly hash: Uint8Array;
}

/**
 * Members change over to a new domain key within a minute; the rest is for clock differences. After that, frontends
 * store nothing under the old one.
 */
export const CHANGEOVER_MS = 10 * 60_000;

export function activeDomainKey({ domainKeys }: DomainState): DomainKeyInfo {
  return domainKeys.at(-1)!;
}

/** Whether the state contains exactly this HSM: the same name with other keys is another HSM. */
export function isMember({ members: hsms }: { readonly members: readonly Member[] }, hsm: Member): boolean {
  const found = hsms.find(({ memberId }) => memberId === hsm.memberId);
  return (
    found !== undefined &&
    isSameKey(found.signingKey, hsm.signingKey) &&
    isSameKey(found.agreementKey, hsm.agreementKey) &&
    isSameKey(found.encapsulationKey ?? none, hsm.encapsulationKey ?? none)
  );
}

/** Those that serve, and can be asked: an offline member answers nobody. As far as the state says who is one. */
export function onlineMembers<M extends Member>(hsms: readonly M[]): M[] {
  return hsms.filter(({ offline }) => offline !== true);
}

/** Whether there is nobody but offline members who could be a witness of what one member says. */
export function isOfOne({ members }: Pick<DomainState, 'members'>): boolean {
  return onlineMembers(members).length === 1;
}

const none = Buffer.alloc(0);

function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Whether there is room for a rotation's domain key. If not, operators must first drop old ones. */
export function hasRoomToRotate({ domainKeys }: Pick<DomainState, 'domainKeys'>): boolean {
  return domainKeys.length < MAX_DOMAIN_KEYS - PLACES_FOR_REMOVALS;
}

/** When the key stopped being active, which is when its successor was made. Undefined for the active key. */
export function deactivatedAt({ domainKeys }: Pick<DomainState, 'domainKeys'>, id: string): number | undefined {
  const at = domainKeys.findIndex((key) => key.id === id);
  return at < 0 ? undefined : domainKeys[at + 1]?.createdAt;
}

/** The time from which operators may drop the key. Undefined for the active one. */
export function droppableAt(state: DomainState, id: string): number | undefined {
  const since = deactivatedAt(state, id);
  return since === undefined ? undefined : since + state.backupHorizonMs;
}

/** The newest domain key made because of a removal: no former member holds it or any key after it. */
export function newestAfterRemoval({ domainKeys }: DomainState): DomainKeyInfo | undefined {
  return domainKeys.findLast(({ afterRemoval }) => afterRemoval);
}

/** The domain keys that a former member may hold and that still open things. */
export function domainKeysToRetire(state: DomainState): DomainKeyInfo[] {
  const safe = newestAfterRemoval(state)?.createdGeneration ?? 0;
  return state.domainKeys.filter(
    ({ createdGeneration, status }) => createdGeneration < safe && status === 'deactivated',
  );
}

/** Whether these are all of them and no other. Their retirement needs nobody who may change the members. */
export function areDomainKeysToRetire(ids: readonly string[], state: DomainState): boolean {
  const given = new Set(ids);
  const due = domainKeysToRetire(state);
  return due.length === given.size && due.every(({ id }) => given.has(id));
}
