import { timingSafeEqual } from 'node:crypto';
import type { Format } from '@keyfleet/shared/encoding/canonical';
import { ExportedKeyToken, ExportedKeyTokenV1 } from '@keyfleet/shared/hsm/exported-key-token';
import { RefusedError } from '../errors.ts';
import type { Keyring } from '../domain/keyring.ts';
import { materialIdOf } from './material-id.ts';
import { labelOf, openToken, type SealedHeader } from './sealed-token.ts';

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
