import { z } from 'zod';
import { GrantOperation } from './choices.ts';
import {
  EncryptionContext,
  GrantId,
  GrantName,
  GrantToken,
  GrantTokens,
  KeyId,
  Limit,
  Marker,
  Principal,
  ServicePrincipal,
  SourceArn,
} from './fields.ts';
import { defineOperation } from './operation.ts';
import { flag, list, structure, timestamp } from './shape.ts';

export const GrantConstraints = structure('GrantConstraints', {
  EncryptionContextSubset: EncryptionContext.optional(),
  EncryptionContextEquals: EncryptionContext.optional(),
  SourceArn: SourceArn.optional(),
});

export const Grant = structure('GrantListEntry', {
  KeyId: KeyId.optional(),
  GrantId: GrantId.optional(),
  Name: GrantName.optional(),
  CreationDate: timestamp().optional(),
  GranteePrincipal: Principal.optional(),
  RetiringPrincipal: Principal.optional(),
  IssuingAccount: Principal.optional(),
  Operations: list(GrantOperation).optional(),
  Constraints: GrantConstraints.optional(),
  GranteeServicePrincipal: ServicePrincipal.optional(),
  RetiringServicePrincipal: ServicePrincipal.optional(),
});

export const CreateGrant = defineOperation({
  name: 'CreateGrant',
  summary: 'Allows a principal some operations with one KMS key, without changing its policy.',
  family: 'grants',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    GranteePrincipal: Principal.optional(),
    RetiringPrincipal: Principal.optional(),
    Operations: list(GrantOperation),
    Constraints: GrantConstraints.optional(),
    GrantTokens: GrantTokens.optional(),
    Name: GrantName.optional(),
    DryRun: flag().optional(),
    GranteeServicePrincipal: ServicePrincipal.optional(),
    RetiringServicePrincipal: ServicePrincipal.optional(),
  }),
  output: z.object({
    GrantToken: GrantToken.optional(),
    GrantId: GrantId.optional(),
  }),
  errors: [
    'NotFoundException',
    'DisabledException',
    'InvalidArnException',
    'InvalidGrantTokenException',
    'LimitExceededException',
    'KMSInvalidStateException',
    'DryRunOperationException',
  ],
});

export const ListGrants = defineOperation({
  name: 'ListGrants',
  summary: 'Lists the grants of a KMS key.',
  family: 'grants',
  access: 'key',
  keyId: 'key',
  readOnly: true,
  input: z.object({
    Limit: Limit.optional(),
    Marker: Marker.optional(),
    KeyId,
    GrantId: GrantId.optional(),
    GranteePrincipal: Principal.optional(),
    GranteeServicePrincipal: ServicePrincipal.optional(),
  }),
  output: z.object({
    Grants: list(Grant).optional(),
    NextMarker: Marker.optional(),
    Truncated: flag().optional(),
  }),
  errors: [
    'NotFoundException',
    'InvalidMarkerException',
    'InvalidGrantIdException',
    'InvalidArnException',
    'KMSInvalidStateException',
  ],
});

export const ListRetirableGrants = defineOperation({
  name: 'ListRetirableGrants',
  summary: "Lists the grants in the caller's account that a principal may retire.",
  family: 'grants',
  access: 'account',
  readOnly: true,
  input: z.object({
    Limit: Limit.optional(),
    Marker: Marker.optional(),
    RetiringPrincipal: Principal.optional(),
    RetiringServicePrincipal: ServicePrincipal.optional(),
  }),
  output: z.object({
    Grants: list(Grant).optional(),
    NextMarker: Marker.optional(),
    Truncated: flag().optional(),
  }),
  errors: ['InvalidMarkerException', 'InvalidArnException', 'NotFoundException'],
});

export const RetireGrant = defineOperation({
  name: 'RetireGrant',
  summary: 'Gives up a grant: by its retiring principal, or by its grantee when it allows that.',
  family: 'grants',
  access: 'account',
  readOnly: false,
  input: z.object({
    GrantToken: GrantToken.optional(),
    KeyId: KeyId.optional(),
    GrantId: GrantId.optional(),
    DryRun: flag().optional(),
  }),
  output: null,
  errors: [
    'InvalidArnException',
    'InvalidGrantTokenException',
    'InvalidGrantIdException',
    'NotFoundException',
    'KMSInvalidStateException',
    'DryRunOperationException',
  ],
});

export const RevokeGrant = defineOperation({
  name: 'RevokeGrant',
  summary: 'Takes a grant away, by the owner of the KMS key.',
  family: 'grants',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    GrantId,
    DryRun: flag().optional(),
  }),
  output: null,
  errors: [
    'NotFoundException',
    'InvalidArnException',
    'InvalidGrantIdException',
    'KMSInvalidStateException',
    'DryRunOperationException',
  ],
});
