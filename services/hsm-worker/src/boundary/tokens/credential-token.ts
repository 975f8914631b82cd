import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';

/**
 * Header of a sealed secret access key; the secret is its ASCII characters: 40 where an HSM made it, else as it was
 * given. It opens for this access key of this principal only.
 */
export const CredentialToken = defineFormat(
  'keyfleet/credential-token/1',
  z.strictObject({ domain: z.string(), domainKeyId: z.string(), accessKeyId: z.string(), principal: z.string() }),
);
