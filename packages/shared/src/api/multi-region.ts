import { z } from 'zod';
import { Description, KeyId, Policy, Region, Tags } from './fields.ts';
import { KeyMetadata } from './key-metadata.ts';
import { defineOperation } from './operation.ts';
import { flag } from './shape.ts';

export const ReplicateKey = defineOperation({
  name: 'ReplicateKey',
  summary: 'Makes a replica of a multi-Region primary key in another Region.',
  family: 'multi-region',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    ReplicaRegion: Region,
    Policy: Policy.optional(),
    BypassPolicyLockoutSafetyCheck: flag().default(false),
    Description: Description.default(''),
    Tags: Tags.optional(),
  }),
  output: z.object({
    ReplicaKeyMetadata: KeyMetadata.optional(),
    ReplicaPolicy: Policy.optional(),
    ReplicaTags: Tags.optional(),
  }),
  errors: [
    'AlreadyExistsException',
    'DisabledException',
    'InvalidArnException',
    'KMSInvalidStateException',
    'LimitExceededException',
    'MalformedPolicyDocumentException',
    'NotFoundException',
    'TagException',
    'UnsupportedOperationException',
  ],
});

export const UpdatePrimaryRegion = defineOperation({
  name: 'UpdatePrimaryRegion',
  summary: 'Makes a replica the primary of its multi-Region key.',
  family: 'multi-region',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    PrimaryRegion: Region,
  }),
  output: null,
  errors: [
    'DisabledException',
    'InvalidArnException',
    'KMSInvalidStateException',
    'NotFoundException',
    'UnsupportedOperationException',
  ],
});
