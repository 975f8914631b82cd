import type { ListResourceTags } from '@keyfleet/shared/api/tags';
import type { Deps, Handler } from '../handler.ts';

/** As many as a key can have. */
const MAX_LIMIT = 50;

export const listResourceTags: Handler<typeof ListResourceTags, Pick<Deps, 'markers'>> = async (
  input,
  { key, deadline },
  { markers },
) => {
  const limit = Math.min(input.Limit ?? MAX_LIMIT, MAX_LIMIT);
  const { accountId, region, keyId } = key;
  const list = { accountId, region, operation: 'ListResourceTags', filter: keyId };
  const after = input.Marker === undefined ? undefined : await markers.open(list, input.Marker, deadline);

  // In the order of their names, so that a page begins in the right place though its marker's tag was removed.
  const tags = key.tags.toSorted((a, b) => (a.TagKey < b.TagKey ? -1 : 1));
  const rest = after === undefined ? tags : tags.filter(({ TagKey }) => TagKey > after);
  const page = rest.slice(0, limit);
  const last = rest.length > limit ? page.at(-1)?.TagKey : undefined;
  return {
    Tags: page,
    ...(last !== undefined && { NextMarker: await markers.seal(list, last, deadline) }),
    Truncated: last !== undefined,
  };
};
