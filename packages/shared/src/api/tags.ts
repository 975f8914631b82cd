import { z } from 'zod';
import { KeyId, Limit, Marker, TagKey, Tags } from './fields.ts';
import { defineOperation } from './operation.ts';
import { flag, list } from './shape.ts';

export const TagResource = defineOperation({
  name: 'TagResource',
  summary: 'Adds tags to a KMS key, or changes their values.',
  family: 'tags',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    Tags,
  }),
  output: null,
  errors: [
    'NotFoundException',
    'InvalidArnException',
    'KMSInvalidStateException',
    'LimitExceededException',
    'TagException',
  ],
});

export const UntagResource = defineOperation({
  name: 'UntagResource',
  summary: 'Removes tags from a KMS key.',
  family: 'tags',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    TagKeys: list(TagKey),
  }),
  output: null,
  errors: ['NotFoundException', 'InvalidArnException', 'KMSInvalidStateException', 'TagException'],
});

export const ListResourceTags = defineOperation({
  name: 'ListResourceTags',
  summary: 'Lists the tags of a KMS key.',
  family: 'tags',
  access: 'key',
  keyId: 'key',
  readOnly: true,
  input: z.object({
    KeyId,
    Limit: Limit.optional(),
    Marker: Marker.optional(),
  }),
  output: z.object({
    Tags: Tags.optional(),
    NextMarker: Marker.optional(),
    Truncated: flag().optional(),
  }),
  errors: ['NotFoundException', 'InvalidArnException', 'InvalidMarkerException'],
});
