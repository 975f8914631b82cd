import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { isKeyId, isMultiRegionKeyId } from '@keyfleet/shared/ids';
import type { KmsKey } from './kms-key.ts';

/** The tags of LocalStack and floci. */
const idTags: readonly string[] = ['_custom_id_', 'floci:override-id'];

interface Chosen {
  readonly keyId: string;
  /** Without the tag that chose the id. */
  readonly tags: KmsKey['tags'];
}

/**
 * The id that a tag chooses for a new key, if any. Throws ValidationException if it is not a valid id for that kind of
 * key.
 */
export function chosenKeyId(tags: KmsKey['tags'], multiRegion: boolean): Chosen | undefined {
  const tag = tags.find(({ TagKey }) => idTags.includes(TagKey));
  if (tag === undefined) return undefined;
  const { TagKey, TagValue: keyId } = tag;
  if (!isKeyId(keyId) || isMultiRegionKeyId(keyId) !== multiRegion) {
    const wanted = multiRegion ? 'mrk- and 32 hex digits' : 'a UUID';
    throw new KmsException('ValidationException', `Tag ${TagKey} must be ${wanted} in lower case.`);
  }
  return { keyId, tags: tags.filter((one) => one !== tag) };
}
