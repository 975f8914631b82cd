import type { ListResourceTags, TagResource, UntagResource } from '@keyfleet/shared/api/tags';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Deps, Handler } from './handler.ts';

/** The most tags that a key can have. */
const MAX_LIMIT = 50;

export const tagResource: Handler<typeof TagResource, Pick<Deps, 'keys'>> = async ({ Tags }, { key }, { keys }) => {
  const tags = [...new Map([...key.tags, ...Tags].map((tag) => [tag.TagKey, tag])).values()];
  assertTags(tags);
  await keys.updateKey({ ...key, tags });
};

/** A tag that does not exist counts as removed. */
export const untagResource: Handler<typeof UntagResource, Pick<Deps, 'keys'>> = async (
  { TagKeys },
  { key },
  { keys },
) => {
  const removed = new Set(TagKeys);
  await keys.updateKey({ ...key, tags: key.tags.filter(({ TagKey }) => !removed.has(TagKey)) });
};

export const listResourceTags: Handler<typeof ListResourceTags, Pick<Deps, 'markers'>> = async (
  input,
  { key, deadline },
  { markers },
) => {
  const limit = Math.min(input.Limit ?? MAX_LIMIT, MAX_LIMIT);
  const { accountId, region, keyId } = key;
  const list = { accountId, region, operation: 'ListResourceTags', filter: keyId };
  const after = input.Marker === undefined ? undefined : await markers.open(list, input.Marker, deadline);

  // Sorted by name, so that a page begins in the right place even if its marker's tag was removed.
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

const MAX_TAGS = 50;

export type Tag = KmsKey['tags'][number];

/** Throws TagException unless a key can have exactly these tags. */
export function assertTags(tags: KmsKey['tags']): void {
  const names = tags.map(({ TagKey }) => TagKey);
  assertNotReserved(names);
  if (new Set(names).size !== names.length) throw new KmsException('TagException', 'Duplicate tag keys');
  if (names.length > MAX_TAGS) throw new KmsException('TagException', 'Too many tags');
}

/** The prefix belongs to AWS, in upper and lower case. */
export function assertNotReserved(names: readonly string[]): void {
  if (names.some((name) => name.toLowerCase().startsWith('aws:'))) {
    throw new KmsException('TagException', 'Tags beginning with aws: are reserved');
  }
}
