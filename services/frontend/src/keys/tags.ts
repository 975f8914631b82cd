import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KmsKey } from './kms-key.ts';

const MAX_TAGS = 50;

export type Tag = KmsKey['tags'][number];

/** Throws TagException unless a key can have exactly these tags. */
export function assertTags(tags: KmsKey['tags']): void {
  const names = tags.map(({ TagKey }) => TagKey);
  assertNotReserved(names);
  if (new Set(names).size !== names.length) throw new KmsException('TagException', 'Duplicate tag keys');
  if (names.length > MAX_TAGS) throw new KmsException('TagException', 'Too many tags');
}

/** The prefix belongs to AWS, in any case. */
export function assertNotReserved(names: readonly string[]): void {
  if (names.some((name) => name.toLowerCase().startsWith('aws:'))) {
    throw new KmsException('TagException', 'Tags beginning with aws: are reserved');
  }
}
