import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { isKeyId, isMultiRegionKeyId } from '@keyfleet/shared/ids';
import type { KmsKey } from './kms-key.ts';

/** LocalStack's and floci's. */
const idTags: readonly string[] = ['_custom_id_', 'floci:override-id'];

interface Chosen {
  readonly keyId: string;
  /** Without the one that chose it. */
  readonly tags: KmsKey['tags'];
}

/**
 * The id that a tag chooses for a new key, if one does. Throws ValidationException for one that is no id of a key of
 * its kind.
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
