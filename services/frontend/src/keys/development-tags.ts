import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { isKeyId, isMultiRegionKeyId } from '@keyfleet/shared/ids';
import type { KmsKey } from './kms-key.ts';

/** The tags of LocalStack and floci that choose a new key's id. */
const idTags: readonly string[] = ['_custom_id_', 'floci:override-id'];
/** LocalStack's tag that gives a new key its material. */
export const MATERIAL_TAG = '_custom_key_material_';

/** What tags choose of a new key. */
export interface Chosen {
  readonly keyId: string | undefined;
  /** In base64, as given. */
  readonly material: string | undefined;
  /** Those that choose nothing: they become the key's. */
  readonly tags: KmsKey['tags'];
}

/** Throws ValidationException for a chosen id that is not valid for that kind of key, and for material of others. */
export function chosenBy(
  given: KmsKey['tags'],
  { multiRegion, origin }: Pick<KmsKey, 'multiRegion' | 'origin'>,
): Chosen {
  const id = given.find(({ TagKey }) => idTags.includes(TagKey));
  const material = given.find(({ TagKey }) => TagKey === MATERIAL_TAG);
  if (id !== undefined && (!isKeyId(id.TagValue) || isMultiRegionKeyId(id.TagValue) !== multiRegion)) {
    throw invalid(id.TagKey, `must be ${multiRegion ? 'mrk- and 32 hex digits' : 'a UUID'} in lower case`);
  }
  if (material !== undefined && origin !== 'AWS_KMS') throw invalid(MATERIAL_TAG, `is not valid for Origin ${origin}`);
  const tags = given.filter((one) => one !== id && one !== material);
  return { keyId: id?.TagValue, material: material?.TagValue, tags };
}

/** `what`: completes a sentence that begins with the tag. */
export function invalid(tag: string, what: string, cause?: unknown): KmsException {
  return new KmsException('ValidationException', `Tag ${tag} ${what}.`, { cause });
}
