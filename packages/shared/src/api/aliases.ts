import { z } from 'zod';
import { AliasName, Arn, KeyId, Limit, Marker } from './fields.ts';
import { defineOperation } from './operation.ts';
import { flag, list, structure, timestamp } from './shape.ts';

export const AliasListEntry = structure('AliasListEntry', {
  AliasName: AliasName.optional(),
  AliasArn: Arn.optional(),
  TargetKeyId: KeyId.optional(),
  CreationDate: timestamp().optional(),
  LastUpdatedDate: timestamp().optional(),
});

export const CreateAlias = defineOperation({
  name: 'CreateAlias',
  summary: 'Gives a KMS key another name, unique in its account and Region.',
  family: 'aliases',
  access: 'key',
  keys: [{ member: 'TargetKeyId', identifiers: 'key', action: 'kms:CreateAlias' }],
  readOnly: false,
  input: z.object({
    AliasName,
    TargetKeyId: KeyId,
  }),
  output: null,
  errors: [
    'AlreadyExistsException',
    'NotFoundException',
    'InvalidAliasNameException',
    'LimitExceededException',
    'KMSInvalidStateException',
  ],
});

export const UpdateAlias = defineOperation({
  name: 'UpdateAlias',
  summary: 'Points an alias at another KMS key of the same type and usage.',
  family: 'aliases',
  access: 'key',
  keys: [{ member: 'TargetKeyId', identifiers: 'key', action: 'kms:UpdateAlias' }],
  readOnly: false,
  input: z.object({
    AliasName,
    TargetKeyId: KeyId,
  }),
  output: null,
  errors: ['NotFoundException', 'LimitExceededException', 'KMSInvalidStateException'],
});

export const DeleteAlias = defineOperation({
  name: 'DeleteAlias',
  summary: 'Removes an alias; its KMS key stays as it is.',
  family: 'aliases',
  access: 'account',
  readOnly: false,
  input: z.object({
    AliasName,
  }),
  output: null,
  errors: ['NotFoundException', 'KMSInvalidStateException'],
});

export const ListAliases = defineOperation({
  name: 'ListAliases',
  summary: "Lists the aliases of the caller's account and Region, or those of one KMS key.",
  family: 'aliases',
  access: 'account',
  readOnly: true,
  input: z.object({
    KeyId: KeyId.optional(),
    Limit: Limit.optional(),
    Marker: Marker.optional(),
  }),
  output: z.object({
    Aliases: list(AliasListEntry).optional(),
    NextMarker: Marker.optional(),
    Truncated: flag().optional(),
  }),
  errors: ['InvalidMarkerException', 'InvalidArnException', 'NotFoundException'],
});
