import { z } from 'zod';
import { ExpirationModel, ImportState, IncludeKeyMaterial, KeyMaterialState, RotationType } from './choices.ts';
import { KeyId, KeyMaterialDescription, KeyMaterialId, Limit, Marker, RotationPeriodInDays } from './fields.ts';
import { defineOperation } from './operation.ts';
import { flag, list, structure, timestamp } from './shape.ts';

export const Rotation = structure('RotationsListEntry', {
  KeyId: KeyId.optional(),
  KeyMaterialId: KeyMaterialId.optional(),
  KeyMaterialDescription: KeyMaterialDescription.optional(),
  ImportState: ImportState.optional(),
  KeyMaterialState: KeyMaterialState.optional(),
  ExpirationModel: ExpirationModel.optional(),
  ValidTo: timestamp().optional(),
  RotationDate: timestamp().optional(),
  RotationType: RotationType.optional(),
});

export const EnableKeyRotation = defineOperation({
  name: 'EnableKeyRotation',
  summary: 'Makes new key material for a symmetric KMS key at a regular interval.',
  family: 'rotation',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    RotationPeriodInDays: RotationPeriodInDays.optional(),
  }),
  output: null,
  errors: [
    'NotFoundException',
    'DisabledException',
    'InvalidArnException',
    'KMSInvalidStateException',
    'UnsupportedOperationException',
  ],
});

export const DisableKeyRotation = defineOperation({
  name: 'DisableKeyRotation',
  summary: 'Stops the automatic rotation of a KMS key.',
  family: 'rotation',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
  }),
  output: null,
  errors: [
    'NotFoundException',
    'DisabledException',
    'InvalidArnException',
    'KMSInvalidStateException',
    'UnsupportedOperationException',
  ],
});

export const GetKeyRotationStatus = defineOperation({
  name: 'GetKeyRotationStatus',
  summary: 'Says whether a KMS key rotates by itself, how often, and when next.',
  family: 'rotation',
  access: 'key',
  keyId: 'key',
  readOnly: true,
  input: z.object({
    KeyId,
  }),
  output: z.object({
    KeyRotationEnabled: flag().optional(),
    KeyId: KeyId.optional(),
    RotationPeriodInDays: RotationPeriodInDays.optional(),
    NextRotationDate: timestamp().optional(),
    OnDemandRotationStartDate: timestamp().optional(),
  }),
  errors: ['NotFoundException', 'InvalidArnException', 'KMSInvalidStateException', 'UnsupportedOperationException'],
});

export const RotateKeyOnDemand = defineOperation({
  name: 'RotateKeyOnDemand',
  summary: 'Rotates a symmetric KMS key now: to new key material, or to that which was imported for it.',
  family: 'rotation',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
  }),
  output: z.object({
    KeyId: KeyId.optional(),
  }),
  errors: [
    'NotFoundException',
    'DisabledException',
    'InvalidArnException',
    'KMSInvalidStateException',
    'UnsupportedOperationException',
    'LimitExceededException',
    'ConflictException',
  ],
});

export const ListKeyRotations = defineOperation({
  name: 'ListKeyRotations',
  summary: 'Lists the completed rotations of a KMS key, or all of its key material.',
  family: 'rotation',
  access: 'key',
  keyId: 'key',
  readOnly: true,
  input: z.object({
    KeyId,
    IncludeKeyMaterial: IncludeKeyMaterial.default('ROTATIONS_ONLY'),
    Limit: Limit.optional(),
    Marker: Marker.optional(),
  }),
  output: z.object({
    Rotations: list(Rotation).optional(),
    NextMarker: Marker.optional(),
    Truncated: flag().optional(),
  }),
  errors: [
    'NotFoundException',
    'InvalidArnException',
    'InvalidMarkerException',
    'KMSInvalidStateException',
    'UnsupportedOperationException',
  ],
});
