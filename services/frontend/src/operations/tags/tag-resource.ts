import type { TagResource } from '@keyfleet/shared/api/tags';
import { changeKey } from '../../keys/change-key.ts';
import { assertTags } from '../../keys/tags.ts';
import type { Deps, Handler } from '../handler.ts';

export const tagResource: Handler<typeof TagResource, Pick<Deps, 'keys'>> = async ({ Tags }, { key }, { keys }) => {
  await changeKey(key, {
    keys,
    operation: 'TagResource',
    change({ tags }) {
      const merged = [...new Map([...tags, ...Tags].map((tag) => [tag.TagKey, tag])).values()];
      assertTags(merged);
      return { tags: merged };
    },
  });
};
