import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { wrappingAlgorithms, wrappingKeySpecs } from '@keyfleet/shared/algorithms';
import { AccountId, KeySpecName, KeyUsageName } from '@keyfleet/shared/hsm/command-fields';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { z } from 'zod';
import { RefusedError } from '../errors.ts';
import type { Keyring } from '../domain/keyring.ts';
import { openToken } from './sealed-token.ts';

/**
 * Header of an import token; the secret is the private wrapping key in DER PKCS #8. It is kept nowhere: whoever imports
 * brings it back. `validTo`: milliseconds since the epoch.
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

/** What a token must say of the key that material is imported into. */
const bound = ['account', 'region', 'keyId', 'keySpec', 'keyUsage'] as const;

/**
 * The header and the private wrapping key, which the caller must zero. A token comes from a caller, not from the store,
 * so whatever is wrong with it is `invalid-import-token`: one that names an unknown domain key sends nobody looking. Of
 * a genuine one of this key, `expired-import-token` is said.
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
