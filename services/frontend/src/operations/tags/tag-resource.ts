import type { TagResource } from '@keyfleet/shared/api/tags';
import { assertTags } from '../../keys/tags.ts';
import type { Deps, Handler } from '../handler.ts';

export const tagResource: Handler<typeof TagResource, Pick<Deps, 'keys'>> = async ({ Tags }, { key }, { keys }) => {
  const tags = [...new Map([...key.tags, ...Tags].map((tag) => [tag.TagKey, tag])).values()];
  assertTags(tags);
  await keys.updateKey({ ...key, tags });
};
