import { DomainError } from './domain-error.ts';
import type { DomainCommand } from './proposal.ts';
import { publicKeyOf } from './signature.ts';
import { activeDomainKey, assertValidState, deactivatedAt, type DomainKeyInfo, type DomainState } from './state.ts';

/** A domain key that a member has just made. */
export interface NewDomainKey {
  readonly id: string;
  /** Milliseconds since the epoch, by the clock of the member that made it. */
  readonly createdAt: number;
}

/** Whether the command makes a new domain key: rotation does, and so does everything that removes a member. */
export function makesDomainKey(command: DomainCommand): boolean {
  switch (command.name) {
    case 'CreateDomain':
    case 'RotateDomainKeys':
      return true;
    case 'ModifyMembers':
      return command.body.remove.length > 0;
    default:
      return false;
  }
}

/** Generation 1. Throws `DomainError('invalid-change')`. */
export function foundedState(
  { domain, body }: Extract<DomainCommand, { name: 'CreateDomain' }>,
  newKey: NewDomainKey,
): DomainState {
  assertKeysExist(body.members);
  assertKeysExist(body.operators);
  return valid({ domain, generation: 1, ...body, domainKeys: [{ ...newKey, createdGeneration: 1, status: 'active' }] });
}

/**
 * The state that `command` makes of `state`: the only change that its token may show. Pure, so that every process comes to the
 * same bytes. `newKey` is used if the command makes a domain key. Throws `DomainError`: `invalid-change` or `too-young`.
 */
export function nextState(state: DomainState, command: DomainCommand, newKey: NewDomainKey): DomainState {
  const kept = { ...state, generation: state.generation + 1 };
  switch (command.name) {
    case 'RotateDomainKeys':
      return valid({ ...kept, domainKeys: rotated(state, newKey, command.body.drop) });
    case 'ModifyMembers': {
      const members = modified('memberId', state.members, command.body);
      return valid({ ...kept, members, ...(makesDomainKey(command) && { domainKeys: rotated(state, newKey, []) }) });
    }
    case 'ModifyOperators':
      return valid({ ...kept, operators: modified('operatorId', state.operators, command.body) });
    case 'ModifyRules':
      return valid({ ...kept, ...command.body });
    case 'CreateDomain':
    case 'LeaveDomain':
      throw new DomainError('wrong-state', `${command.name} does not change the state of a domain`);
  }
}

function rotated(state: DomainState, newKey: NewDomainKey, drop: readonly string[]): DomainKeyInfo[] {
  for (const id of drop) assertMayDrop(state, id, newKey.createdAt);
  const old = state.domainKeys
    .filter(({ id }) => !drop.includes(id))
    .map((key) => ({ ...key, status: 'deactivated' as const }));
  return [...old, { ...newKey, createdGeneration: state.generation + 1, status: 'active' }];
}

/** The new key's time is the time of the drop, so everyone who verifies the token verifies this as well. */
function assertMayDrop(state: DomainState, id: string, now: number): void {
  const since = deactivatedAt(state, id);
  if (since === undefined) {
    const reason = id === activeDomainKey(state).id ? 'is the active one' : 'is not one of the domain';
    throw new DomainError('invalid-change', `domain key ${id} cannot be dropped: it ${reason}`);
  }
  if (now - since < state.backupHorizonMs) {
    throw new DomainError('too-young', `domain key ${id} cannot be dropped: a backup may still need it`);
  }
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
  // A name may be removed and admitted again in one command: a fleet that lost its volumes comes back under its names.
  return [...current.filter((one) => !remove.includes(one[id])), ...admit];
}

interface PublicKeys {
  readonly signingKey: Uint8Array;
  readonly agreementKey?: Uint8Array;
}

/** Looked at once, when it enters the state: a key that is no point of the curve could never sign or receive anything. */
function assertKeysExist(newcomers: readonly PublicKeys[]): void {
  for (const { signingKey, agreementKey } of newcomers) {
    publicKeyOf(signingKey);
    if (agreementKey !== undefined) publicKeyOf(agreementKey);
  }
}

function valid(state: DomainState): DomainState {
  assertValidState(state);
  return state;
}
