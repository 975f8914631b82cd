import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { KeySpecName, KeyUsageName } from '@keyfleet/shared/hsm/commands';
import { z } from 'zod';
import type { SealedHeader } from './sealed-token.ts';

/**
 * Header of an exported key token (EKT): a backing key sealed under a domain key. All of it is bound to the secret: a token
 * in another key's record, or one that claims another spec, usage or origin, does not open.
 */
export const ExportedKeyToken = defineFormat(
  'keyfleet/exported-key-token/1',
  z.strictObject({
    domain: z.string(),
    domainKeyId: z.string(),
    keyId: z.string(),
    materialId: bytes({ min: 32, max: 32 }),
    keySpec: KeySpecName,
    keyUsage: KeyUsageName,
    origin: z.enum(['AWS_KMS', 'EXTERNAL']),
  }),
);

export type ExportedKeyHeader = ReturnType<typeof ExportedKeyToken.decode>;

/** What an EKT says beside the domain and domain key. */
export type BackingKeyHeader = Omit<ExportedKeyHeader, keyof SealedHeader>;
