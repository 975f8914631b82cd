import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';

/**
 * Header of a sealed secret access key. The secret is its ASCII characters: 40 if an HSM made it, otherwise as given.
 * It opens only for this access key of this principal.
 */
export const CredentialToken = defineFormat(
  'keyfleet/credential-token/1',
  z.strictObject({ domain: z.string(), domainKeyId: z.string(), accessKeyId: z.string(), principal: z.string() }),
);
