import type { CreateAlias, DeleteAlias, ListAliases, UpdateAlias } from '@keyfleet/shared/api/aliases';
import { aliasArn, type ArnScope } from '@keyfleet/shared/arn';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ALIAS_PREFIX, isAliasName, RESERVED_ALIAS_PREFIX } from '@keyfleet/shared/ids';
import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import type { KmsKey } from '../keys/kms-key.ts';
import { findNamed, type KeyLookup, readIdentifier } from '../keys/resolve.ts';
import type { Alias } from '../store/store.ts';
import type { Deps, Handler } from './handler.ts';

/** AWS's quota. */
export const ALIASES_PER_KEY = 50;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;

export const createAlias: Handler<typeof CreateAlias, Pick<Deps, 'aliases' | 'clock' | 'partition'>> = async (
  { AliasName },
  { key },
  { aliases, clock, partition },
) => {
  const now = clock.now();
  const alias = { name: AliasName, targetKeyId: key.keyId, createdAt: now, updatedAt: now };
  const outcome = await aliases.insertAlias(key, alias, ALIASES_PER_KEY);
  if (outcome === 'taken') {
    const arn = aliasArn({ partition, region: key.region, accountId: key.accountId }, AliasName);
    throw new KmsException('AlreadyExistsException', `An alias with the name ${arn} already exists`);
  }
  if (outcome === 'full') throw quotaExceeded(key.arn);
};

type UpdateAliasDeps = Pick<Deps, 'aliases' | 'clock' | 'partition'>;

export const updateAlias: Handler<typeof UpdateAlias, UpdateAliasDeps> = async (
  { AliasName },
  { key, alias },
  { aliases, clock, partition },
) => {
  const { region, accountId } = key;
  const arn = aliasArn({ partition, region, accountId }, AliasName);
  if (!alias) throw notFound(arn);

  const moved = { ...alias, targetKeyId: key.keyId, updatedAt: Math.max(clock.now(), alias.updatedAt + 1) };
  const outcome = await aliases.updateAlias(key, moved, { from: alias.targetKeyId, quota: ALIASES_PER_KEY });
  if (outcome === 'missing') throw notFound(arn);
  if (outcome === 'full') throw quotaExceeded(key.arn);
};

export const deleteAlias: Handler<typeof DeleteAlias, Pick<Deps, 'aliases' | 'partition'>> = async (
  { AliasName },
  { caller: { accountId }, region, alias },
  { aliases, partition },
) => {
  if (alias && (await aliases.deleteAlias({ accountId, region }, alias))) return;
  throw notFound(aliasArn({ partition, region, accountId }, AliasName));
};

type ListAliasesDeps = Pick<Deps, 'aliases' | 'keys' | 'markers' | 'partition'>;

export const listAliases: Handler<typeof ListAliases, ListAliasesDeps> = async (
  input,
  { caller: { accountId }, region, deadline },
  { aliases, keys, markers, partition },
) => {
  const scope = { accountId, region, partition };
  const limit = Math.min(input.Limit ?? DEFAULT_LIMIT, MAX_LIMIT);
  const targetKeyId = input.KeyId === undefined ? undefined : await ownKeyId(input.KeyId, scope, { keys, aliases });
  const list = {
    accountId,
    region,
    operation: 'ListAliases',
    ...(targetKeyId !== undefined && { filter: targetKeyId }),
  };
  const after = input.Marker === undefined ? undefined : await markers.open(list, input.Marker, deadline);

  const { items, next } = await aliases.listAliases(scope, limit, after, targetKeyId);
  return {
    Aliases: items.map((alias) => entryOf(alias, aliasArn(scope, alias.name))),
    ...(next !== undefined && { NextMarker: await markers.seal(list, next, deadline) }),
    Truncated: next !== undefined,
  };
};

function entryOf({ name, targetKeyId, createdAt, updatedAt }: Alias, arn: string) {
  return {
    AliasName: name,
    AliasArn: arn,
    TargetKeyId: targetKeyId,
    CreationDate: createdAt,
    LastUpdatedDate: updatedAt,
  };
}

/** A list covers only the caller's own account, so another account's key counts as missing. */
async function ownKeyId(identifier: string, scope: ArnScope, lookup: KeyLookup): Promise<string> {
  const named = readIdentifier(identifier, 'key', scope);
  if (named.accountId !== scope.accountId)
    throw new KmsException('NotFoundException', `Key '${identifier}' does not exist`);
  return (await findNamed(named, { scope, lookup })).keyId;
}

/** Throws ValidationException: an application that uses an alias must not find a different kind of key behind it. */
export function assertSameKind(aliasName: string, current: KmsKey, next: KmsKey): void {
  if (current.keyUsage !== next.keyUsage) {
    throw new KmsException(
      'ValidationException',
      `Alias ${aliasName} cannot be changed from a CMK with key usage ${current.keyUsage} to a CMK with key usage ${next.keyUsage}. The key usage of the current CMK and the new CMK must be the same.`,
    );
  }
  const [from, to] = [typeOf(current.keySpec), typeOf(next.keySpec)];
  if (from !== to) {
    throw new KmsException(
      'ValidationException',
      `Alias ${aliasName} cannot be changed from a ${from} key to a ${to} key. The type of the current key and the new key must be the same.`,
    );
  }
}

function typeOf(keySpec: KeySpec): string {
  const { kind } = keySpecs[keySpec];
  return kind === 'symmetric' ? 'SYMMETRIC' : kind === 'hmac' ? 'HMAC' : 'ASYMMETRIC';
}

function notFound(arn: string): KmsException {
  return new KmsException('NotFoundException', `Alias ${arn} is not found.`);
}

function quotaExceeded(keyArn: string): KmsException {
  return new KmsException('LimitExceededException', `Key '${keyArn}' has the maximum of ${ALIASES_PER_KEY} aliases.`);
}

/** Throws for a colon: the model's pattern allows it, the service does not. */
export function assertAliasCharacters(name: string): void {
  if (!name.includes(':')) return;
  throw new KmsException('InvalidAliasNameException', `${name} contains invalid characters for an alias`);
}

/** Throws unless `name` is allowed for a customer's alias. */
export function assertAliasName(name: string): void {
  if (!isAliasName(name)) {
    throw new KmsException(
      'ValidationException',
      `Alias must start with the prefix "${ALIAS_PREFIX}". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`,
    );
  }
  if (name.startsWith(RESERVED_ALIAS_PREFIX)) throw new KmsException('NotAuthorizedException');
}
