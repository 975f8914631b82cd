import { timingSafeEqual } from 'node:crypto';
import { bytes, defineFormat, type Format } from '@keyfleet/shared/encoding/canonical';
import { AccountId, KeySpecName, KeyUsageName } from '@keyfleet/shared/hsm/command-fields';
import { ownOrigins } from '@keyfleet/shared/key-specs';
import { z } from 'zod';
import { RefusedError } from '../errors.ts';
import type { Keyring } from '../domain/keyring.ts';
import { materialIdOf } from './material-id.ts';
import { labelOf, openToken, type SealedHeader } from './sealed-token.ts';

const sealedUnder = { domain: z.string(), domainKeyId: z.string() };
const backingKey = {
  keyId: z.string(),
  materialId: bytes({ min: 32, max: 32 }),
  keySpec: KeySpecName,
  keyUsage: KeyUsageName,
  origin: z.enum(ownOrigins),
};

/**
 * Header of an exported key token (EKT): a backing key sealed under a domain key. The whole header is bound to the
 * secret: a token in the record of another key or account, or one that claims another spec, usage or origin, does not
 * open.
 */
export const ExportedKeyToken = defineFormat(
  'keyfleet/exported-key-token/2',
  z.strictObject({ ...sealedUnder, account: AccountId, ...backingKey }),
);

/** The format before tokens named their account. It opens forever; resealing converts it to the newest format. */
export const ExportedKeyTokenV1 = defineFormat(
  'keyfleet/exported-key-token/1',
  z.strictObject({ ...sealedUnder, ...backingKey }),
);

type NewestHeader = ReturnType<typeof ExportedKeyToken.decode>;

/** Either version. `account`: undefined in version 1. */
export type ExportedKeyHeader = Omit<NewestHeader, 'account'> & { readonly account?: string };

/** What an EKT states besides the domain and domain key. */
export type BackingKeyHeader = Omit<ExportedKeyHeader, keyof SealedHeader>;

const newest = ExportedKeyToken as Format<ExportedKeyHeader>;
const formats = new Map<string, Format<ExportedKeyHeader>>(
  [newest, ExportedKeyTokenV1].map((format) => [format.label, format]),
);

/**
 * Returns the authenticated header and the material, which the caller must zero. Refuses with `unknown-domain-key` or
 * `cannot-open`. The latter also if the material does not match its id: a holder of a domain key can seal any material
 * under another's id.
 */
export function openExportedKey(token: Uint8Array, keyring: Keyring): { header: ExportedKeyHeader; secret: Buffer } {
  const { header, secret } = openToken(formats.get(labelOf(token)) ?? newest, token, keyring);
  const materialId = materialIdOf(keyring.materialIdKey, { keyId: header.keyId, material: secret });
  if (timingSafeEqual(materialId, header.materialId)) return { header, secret };
  secret.fill(0);
  throw new RefusedError('cannot-open');
}
