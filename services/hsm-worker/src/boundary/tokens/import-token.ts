import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { wrappingAlgorithms, wrappingKeySpecs } from '@keyfleet/shared/algorithms';
import { AccountId, KeySpecName, KeyUsageName } from '@keyfleet/shared/hsm/command-fields';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { z } from 'zod';
import { RefusedError } from '../errors.ts';
import type { Keyring } from '../domain/keyring.ts';
import { openToken } from './sealed-token.ts';

/**
 * Header of an import token. The secret is the private wrapping key in DER PKCS #8, which is stored nowhere: the
 * importer brings it back. `validTo`: milliseconds since the epoch.
 */
export const ImportToken = defineFormat(
  'keyfleet/import-token/1',
  z.strictObject({
    domain: z.string(),
    domainKeyId: z.string(),
    account: AccountId,
    region: z.string(),
    keyId: z.string(),
    keySpec: KeySpecName,
    keyUsage: KeyUsageName,
    wrappingAlgorithm: z.enum(wrappingAlgorithms),
    wrappingKeySpec: z.enum(wrappingKeySpecs),
    validTo: z.int().min(0),
  }),
);

/** What must match the key that the material is imported into. */
const bound = ['account', 'region', 'keyId', 'keySpec', 'keyUsage'] as const;

/**
 * Returns the header and the private wrapping key, which the caller must zero. The token comes from a caller, not from
 * the store, so whatever is wrong with it is `invalid-import-token`: a token that names an unknown domain key starts no
 * search for it. A genuine but old token of this key is `expired-import-token`.
 */
export function openImportToken(
  input: InputOf<'ImportBackingKey'>,
  { keyring, now }: { keyring: Keyring; now: number },
): { header: ReturnType<typeof ImportToken.decode>; secret: Buffer } {
  const opened = openGenuine(input.importToken, keyring);
  const refusal = refusalOf(opened.header, input, now);
  if (refusal === undefined) return opened;
  opened.secret.fill(0);
  throw new RefusedError(refusal);
}

function openGenuine(token: Uint8Array, keyring: Keyring) {
  try {
    return openToken(ImportToken, token, keyring);
  } catch (error) {
    throw error instanceof RefusedError ? new RefusedError('invalid-import-token') : error;
  }
}

function refusalOf(header: ReturnType<typeof ImportToken.decode>, input: InputOf<'ImportBackingKey'>, now: number) {
  if (bound.some((field) => header[field] !== input[field])) return 'invalid-import-token';
  return now >= header.validTo ? 'expired-import-token' : undefined;
}
