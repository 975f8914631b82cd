import { hash } from 'node:crypto';
import { z } from 'zod';

// Version 1 of AWS's External Key Store Proxy API (1.0.2 of its specification), as both ends read it. Unknown members
// are ignored.

/** The service that requests are signed for. */
export const XKS_SERVICE = 'kms-xks-proxy';
/** The bytes that a proxy must at least accept. */
const MAX_PLAINTEXT = 4300;
const MAX_ASSOCIATED_DATA = 8192;
export const MAX_METADATA = 20;
export const TAG_LENGTH = 16;

/** Base64 text. Limits in bytes. */
function base64({ min = 0, max }: { readonly min?: number; readonly max: number }) {
  return z
    .base64()
    .transform((text) => Buffer.from(text, 'base64'))
    .refine(({ length }) => length >= min && length <= max);
}

const iv = base64({ min: 12, max: 16 }).refine(({ length }) => length === 12 || length === 16);
const tag = base64({ min: TAG_LENGTH, max: TAG_LENGTH });
const text = z.string().min(1).max(2048);

const ofHealth = z.looseObject({ kmsRequestId: text, kmsOperation: text });
const ofKey = z.looseObject({ ...ofHealth.shape, awsPrincipalArn: text, kmsKeyArn: text.optional() });
const ofUse = z.looseObject({ ...ofKey.shape, kmsKeyArn: text });

export const HealthRequest = z.object({ requestMetadata: ofHealth });
export const MetadataRequest = z.object({ requestMetadata: ofKey });
export const EncryptRequest = z.object({
  requestMetadata: ofUse,
  plaintext: base64({ min: 1, max: MAX_PLAINTEXT }),
  encryptionAlgorithm: z.literal('AES_GCM'),
  additionalAuthenticatedData: base64({ max: MAX_ASSOCIATED_DATA }).optional(),
  ciphertextDataIntegrityValueAlgorithm: z.literal('SHA_256').optional(),
});
export const DecryptRequest = z.object({
  requestMetadata: ofUse,
  ciphertext: base64({ min: 1, max: MAX_PLAINTEXT }),
  encryptionAlgorithm: z.literal('AES_GCM'),
  additionalAuthenticatedData: base64({ max: MAX_ASSOCIATED_DATA }).optional(),
  ciphertextMetadata: base64({ max: MAX_METADATA }).optional(),
  initializationVector: iv,
  authenticationTag: tag,
});

export const HealthAnswer = z.object({
  xksProxyFleetSize: z.int().min(1),
  xksProxyVendor: z.string(),
  xksProxyModel: z.string(),
  ekmVendor: z.string(),
  ekmFleetDetails: z
    .array(z.object({ id: z.string(), model: z.string(), healthStatus: z.enum(['ACTIVE', 'DEGRADED', 'UNAVAILABLE']) }))
    .min(1)
    .max(10),
});
export const MetadataAnswer = z.object({
  keySpec: z.string(),
  keyUsage: z.array(z.string()).max(10),
  keyStatus: z.enum(['ENABLED', 'DISABLED']),
});
export const EncryptAnswer = z.object({
  ciphertext: base64({ min: 1, max: MAX_PLAINTEXT }),
  ciphertextMetadata: base64({ max: MAX_METADATA }).optional(),
  initializationVector: iv,
  authenticationTag: tag,
  ciphertextDataIntegrityValue: base64({ min: 32, max: 32 }),
});
export const DecryptAnswer = z.object({ plaintext: base64({ min: 1, max: MAX_PLAINTEXT }) });
export const ErrorAnswer = z.object({ errorName: z.string() });

/** A proxy's ciphertext, in parts. */
export interface ExternalCiphertext {
  readonly ciphertext: Uint8Array;
  /** At most 20 bytes, of the proxy's own choice; often none. */
  readonly metadata: Uint8Array;
  /** 12 or 16 bytes. */
  readonly iv: Uint8Array;
  readonly tag: Uint8Array;
}

/**
 * The "ciphertext data integrity value" of an encryption: SHA-256 of all its parts, which shows that nothing was
 * changed on the way.
 */
export function integrityValueOf(associatedData: Uint8Array, parts: ExternalCiphertext): Buffer {
  const { metadata, iv: vector, ciphertext, tag: mark } = parts;
  return hash('sha256', Buffer.concat([associatedData, metadata, vector, ciphertext, mark]), 'buffer');
}
