import { z } from 'zod';
import { KeyId, Limit, Marker, Policy, PolicyName } from './fields.ts';
import { defineOperation } from './operation.ts';
import { flag, list } from './shape.ts';

export const GetKeyPolicy = defineOperation({
  name: 'GetKeyPolicy',
  summary: 'Returns the key policy of a KMS key as it was given.',
  family: 'policies',
  access: 'key',
  keyId: 'key',
  readOnly: true,
  input: z.object({
    KeyId,
    PolicyName: PolicyName.default('default'),
  }),
  output: z.object({
    Policy: Policy.optional(),
    PolicyName: PolicyName.optional(),
  }),
  errors: ['NotFoundException', 'InvalidArnException', 'KMSInvalidStateException'],
});

export const PutKeyPolicy = defineOperation({
  name: 'PutKeyPolicy',
  summary: 'Replaces the key policy of a KMS key.',
  family: 'policies',
  access: 'key',
  keyId: 'key',
  readOnly: false,
  input: z.object({
    KeyId,
    PolicyName: PolicyName.default('default'),
    Policy,
    BypassPolicyLockoutSafetyCheck: flag().default(false),
  }),
  output: null,
  errors: [
    'NotFoundException',
    'InvalidArnException',
    'MalformedPolicyDocumentException',
    'UnsupportedOperationException',
    'LimitExceededException',
    'KMSInvalidStateException',
  ],
});

export const ListKeyPolicies = defineOperation({
  name: 'ListKeyPolicies',
  summary: 'Lists the names of the policies of a KMS key: there is only `default`.',
  family: 'policies',
  access: 'key',
  keyId: 'key',
  readOnly: true,
  input: z.object({
    KeyId,
    Limit: Limit.optional(),
    Marker: Marker.optional(),
  }),
  output: z.object({
    PolicyNames: list(PolicyName).optional(),
    NextMarker: Marker.optional(),
    Truncated: flag().optional(),
  }),
  errors: ['NotFoundException', 'InvalidArnException', 'KMSInvalidStateException'],
});
