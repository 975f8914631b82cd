import type { UntagResource } from '@keyfleet/shared/api/tags';
import type { Deps, Handler } from '../handler.ts';

/** A tag that is not there is as good as removed. */
export const untagResource: Handler<typeof UntagResource, Pick<Deps, 'keys'>> = async (
  { TagKeys },
  { key },
  { keys },
) => {
  const removed = new Set(TagKeys);
  await keys.updateKey({ ...key, tags: key.tags.filter(({ TagKey }) => !removed.has(TagKey)) });
};
