import type { ListKeys } from '@keyfleet/shared/api/keys';
import { keyArn } from '@keyfleet/shared/arn';
import type { Deps, Handler } from '../handler.ts';

const DEFAULT_LIMIT = 100;

export const listKeys: Handler<typeof ListKeys, Pick<Deps, 'keys' | 'markers' | 'partition'>> = async (
  input,
  { caller: { accountId }, region, deadline },
  { keys, markers, partition },
) => {
  const scope = { accountId, region };
  const list = { ...scope, operation: 'ListKeys' };
  const after = input.Marker === undefined ? undefined : await markers.open(list, input.Marker, deadline);
  // A deployment shares no keys between accounts: those of others are none.
  const own = input.ResourceOwners?.includes('SELF') ?? true;
  const { items, next } = own
    ? await keys.listKeys(scope, input.Limit ?? DEFAULT_LIMIT, after)
    : { items: [], next: undefined };
  return {
    Keys: items.map((keyId) => ({ KeyId: keyId, KeyArn: keyArn({ ...scope, partition }, keyId) })),
    ...(next !== undefined && { NextMarker: await markers.seal(list, next, deadline) }),
    Truncated: next !== undefined,
  };
};
