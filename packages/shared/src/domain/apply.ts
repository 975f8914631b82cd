import { DomainError } from './domain-error.ts';
import { encapsulationKeyOf } from './encapsulation.ts';
import type { DomainChange } from './proposal.ts';
import { publicKeyOf } from './signature.ts';
import {
  activeDomainKey,
  type DomainKeyInfo,
  type DomainKeyStatus,
  type DomainState,
  droppableAt,
  hasRoomToRotate,
  MAX_DOMAIN_KEYS,
} from './state.ts';
import { assertValidState } from './valid-state.ts';

/** What the member that makes a token adds to the change. */
export interface Making {
  /** Milliseconds since the epoch, by its clock, and no earlier than the previous token. */
  readonly madeAt: number;
  /** The id of the new domain key, if the change makes one. */
  readonly keyId: string;
}

/**
 * Whether the change of `state` makes a new domain key: rotation does, and so does every change that removes a member
 * or a service host.
 */
export function makesDomainKey({ operators }: DomainState, change: DomainChange): boolean {
  switch (change.name) {
    case 'RotateDomainKeys':
      return true;
    case 'ModifyMembers':
      return change.body.remove.length > 0;
    case 'ModifyOperators': {
      const { remove, keepsDomainKeys } = change.body;
      return (
        !keepsDomainKeys && operators.some((one) => one.role === 'service-host' && remove.includes(one.operatorId))
      );
    }
    default:
      return false;
  }
}

/** Generation 1. Throws `DomainError('invalid-change')`. */
export function foundedState(change: Extract<DomainChange, { name: 'CreateDomain' }>, making: Making): DomainState {
  const { version, domain, body, preparer } = change;
  assertKeysExist(body.members);
  assertKeysExist(body.operators);
  if (version >= 2) assertAmong(body.members, preparer);
  const domainKeys = [newKey(1, making, false)];
  return valid({ version, domain, generation: 1, madeAt: making.madeAt, ...body, domainKeys });
}

/**
 * The state after `change`, which is the only one its token may contain. Pure, so that every process computes the same
 * bytes. Throws `DomainError`: `wrong-state`, `invalid-change` or `too-young`.
 */
export function nextState(state: DomainState, change: DomainChange, making: Making): DomainState {
  const { version, preparer } = change;
  if (making.madeAt < state.madeAt) throw new DomainError('wrong-state', 'a token was made before the one it follows');
  const next = valid({
    ...state,
    version,
    generation: state.generation + 1,
    madeAt: making.madeAt,
    ...changed(state, change, making),
  });
  if (version >= 2) for (const { members } of [state, next]) assertAmong(members, preparer);
  return next;
}

function changed(state: DomainState, change: DomainChange, making: Making): Partial<DomainState> {
  switch (change.name) {
    case 'RotateDomainKeys':
      return { domainKeys: rotated(state, keptByRotation(state, change.body.drop ?? [], making), making, false) };
    case 'RetireDomainKeys':
      return { domainKeys: withStatus(state, change.body.ids, 'deactivated', 'retired') };
    case 'ReinstateDomainKeys':
      return { domainKeys: withStatus(state, change.body.ids, 'retired', 'deactivated') };
    case 'DropDomainKeys':
      return { domainKeys: dropped(state, change.body.ids, making) };
    case 'ModifyMembers': {
      const members = modified('memberId', state.members, change.body);
      return { members, ...afterRemoval(state, change, making) };
    }
    case 'ModifyOperators': {
      const operators = modified('operatorId', state.operators, change.body);
      return { operators, ...afterRemoval(state, change, making) };
    }
    case 'ModifyRules':
      return change.body;
    case 'CreateDomain':
    case 'LeaveDomain':
      throw new DomainError('wrong-state', `${change.name} does not change the state of a domain`);
  }
}

/** Those whom `change` removes never see the new domain key. */
function afterRemoval(state: DomainState, change: DomainChange, making: Making): Partial<DomainState> {
  if (!makesDomainKey(state, change)) return {};
  // Version 1 cannot record that the key was made after a removal.
  return { domainKeys: rotated(state, state.domainKeys, making, change.version >= 2) };
}

function keptByRotation(state: DomainState, drop: readonly string[], making: Making): DomainKeyInfo[] {
  const domainKeys = dropped(state, drop, making);
  if (hasRoomToRotate({ domainKeys })) return domainKeys;
  throw new DomainError(
    'invalid-change',
    `the domain has ${domainKeys.length} domain keys, and the remaining places are reserved for removals: drop old ones first`,
  );
}

function rotated(
  { generation }: DomainState,
  kept: readonly DomainKeyInfo[],
  making: Making,
  isAfterRemoval: boolean,
): DomainKeyInfo[] {
  if (kept.length >= MAX_DOMAIN_KEYS) {
    throw new DomainError('invalid-change', `the domain has ${kept.length} domain keys: drop old ones first`);
  }
  const old = kept.map((key) => (key.status === 'active' ? { ...key, status: 'deactivated' as const } : key));
  return [...old, newKey(generation + 1, making, isAfterRemoval)];
}

function newKey(createdGeneration: number, { madeAt, keyId }: Making, isAfterRemoval: boolean): DomainKeyInfo {
  return { id: keyId, createdGeneration, createdAt: madeAt, status: 'active', afterRemoval: isAfterRemoval };
}

function withStatus(
  { domainKeys }: DomainState,
  ids: readonly string[],
  before: DomainKeyStatus,
  after: DomainKeyStatus,
): DomainKeyInfo[] {
  for (const id of assertOnce(ids)) {
    const status = domainKeys.find((key) => key.id === id)?.status;
    if (status !== before) {
      const reason = status === undefined ? 'not one of the domain' : status;
      throw new DomainError('invalid-change', `domain key ${id} cannot become ${after}: it is ${reason}`);
    }
  }
  return domainKeys.map((key) => (ids.includes(key.id) ? { ...key, status: after } : key));
}

function dropped(state: DomainState, ids: readonly string[], { madeAt }: Making): DomainKeyInfo[] {
  for (const id of assertOnce(ids)) assertMayDrop(state, id, madeAt);
  return state.domainKeys.filter(({ id }) => !ids.includes(id));
}

/** The drop's time comes from the token, so everyone who verifies the token also verifies this. */
function assertMayDrop(state: DomainState, id: string, now: number): void {
  const from = droppableAt(state, id);
  if (from === undefined) {
    const reason = id === activeDomainKey(state).id ? 'is the active one' : 'is not one of the domain';
    throw new DomainError('invalid-change', `domain key ${id} cannot be dropped: it ${reason}`);
  }
  if (now < from) {
    throw new DomainError('too-young', `domain key ${id} cannot be dropped: a backup may still need it`);
  }
}

function assertOnce(ids: readonly string[]): readonly string[] {
  if (new Set(ids).size < ids.length) throw new DomainError('invalid-change', 'the same domain key is named twice');
  return ids;
}

function modified<K extends string, T extends Record<K, string>>(
  id: K,
  current: readonly T[],
  { admit, remove }: { admit: readonly (T & PublicKeys)[]; remove: readonly string[] },
): T[] {
  const known = new Set<string>(current.map((one) => one[id]));
  const absent = remove.find((name) => !known.has(name));
  if (absent !== undefined)
    throw new DomainError('invalid-change', `${absent} cannot be removed: there is no such ${id}`);
  assertKeysExist(admit);
  // One change may remove a name and admit it again: a fleet that lost its volumes returns under its names.
  return [...current.filter((one) => !remove.includes(one[id])), ...admit];
}

interface PublicKeys {
  readonly signingKey: Uint8Array;
  readonly agreementKey?: Uint8Array;
  readonly encapsulationKey?: Uint8Array | undefined;
}

/**
 * Checked once, when it enters the state: a key that is not a point of the curve could never sign or receive anything.
 */
function assertKeysExist(newcomers: readonly PublicKeys[]): void {
  for (const { signingKey, agreementKey, encapsulationKey } of newcomers) {
    publicKeyOf(signingKey);
    if (agreementKey !== undefined) publicKeyOf(agreementKey);
    if (encapsulationKey !== undefined) encapsulationKeyOf(encapsulationKey);
  }
}

/**
 * Otherwise nobody could sign its token: a removed member must not choose the new domain key, and an admitted one has
 * no say yet.
 */
function assertAmong(members: readonly { readonly memberId: string }[], preparer: string): void {
  if (members.some(({ memberId }) => memberId === preparer)) return;
  throw new DomainError('invalid-change', `${preparer}, the preparer, is not a member before and after the change`);
}

function valid(state: DomainState): DomainState {
  assertValidState(state);
  return state;
}
