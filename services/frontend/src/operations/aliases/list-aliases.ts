import type { ListAliases } from '@keyfleet/shared/api/aliases';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { aliasArn, type ArnScope } from '@keyfleet/shared/arn';
import { findNamed, type KeyLookup, readIdentifier } from '../../keys/resolve.ts';
import type { Alias } from '../../store/store.ts';
import type { Deps, Handler } from '../handler.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;

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

/** A list shows only the caller's own account, so a key of another is not there. */
async function ownKeyId(identifier: string, scope: ArnScope, lookup: KeyLookup): Promise<string> {
  const named = readIdentifier(identifier, 'key', scope);
  if ('foreignArn' in named) throw new KmsException('NotFoundException', `Key '${identifier}' does not exist`);
  return (await findNamed(named, { scope, lookup })).keyId;
}
