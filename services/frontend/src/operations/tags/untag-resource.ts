import type { UntagResource } from '@keyfleet/shared/api/tags';
import { changeKey } from '../../keys/change-key.ts';
import type { Deps, Handler } from '../handler.ts';

/** A tag that is not there is as good as removed. */
export const untagResource: Handler<typeof UntagResource, Pick<Deps, 'keys'>> = async (
  { TagKeys },
  { key },
  { keys },
) => {
  const removed = new Set(TagKeys);
  await changeKey(key, {
    keys,
    operation: 'UntagResource',
    change: ({ tags }) => ({ tags: tags.filter(({ TagKey }) => !removed.has(TagKey)) }),
  });
};
