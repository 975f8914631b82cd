import { timingSafeEqual } from 'node:crypto';
import { defineFormat, type Format } from '@keyfleet/shared/encoding/canonical';
import { ExportedKeyToken } from '@keyfleet/shared/hsm/exported-key-token';
import { domainKeyNamedBy } from '@keyfleet/shared/hsm/fleet-secret';
import { z } from 'zod';
import { RefusedError } from '../errors.ts';
import type { Keyring } from '../domain/keyring.ts';
import { belongsTo } from '../keys/backing-keys.ts';
import { openExportedKey } from './exported-key-token.ts';
import { labelOf, openToken, type SealedHeader, type Sealer, sealToken } from './sealed-token.ts';

/**
 * Header of a sealed secret access key. The secret is its ASCII characters: 40 if an HSM made it, otherwise as given.
 * It opens only for this access key of this principal.
 */
export const CredentialToken = defineFormat(
  'keyfleet/credential-token/1',
  z.strictObject({ domain: z.string(), domainKeyId: z.string(), accessKeyId: z.string(), principal: z.string() }),
);

/** A token stored long-term, so it must be resealed when the domain key changes. */
export interface StoredToken {
  readonly token: Uint8Array;
  /** The account of the token's KMS key; undefined for a credential. */
  readonly account?: string | undefined;
}

/**
 * The same secret under the active domain key, in the newest format; the token itself if that already holds. Opens the
 * token in either case.
 */
export function resealToken(stored: StoredToken, sealer: Sealer): Uint8Array {
  const { format, header, secret } = openStoredToken(stored, sealer.keyring);
  try {
    const isNewest = labelOf(stored.token) === format.label && header.domainKeyId === sealer.keyring.active.id;
    return isNewest ? stored.token : sealToken(format, { header, secret }, sealer);
  } finally {
    secret.fill(0);
  }
}

/**
 * Refuses with `cannot-open` unless `resealed` is a valid reseal of `stored`: in the newest format, with everything the
 * same except the domain key.
 */
export function checkResealed(resealed: Uint8Array, stored: StoredToken, keyring: Keyring): void {
  const before = openStoredToken(stored, keyring);
  try {
    const after = openStoredToken({ ...stored, token: resealed }, keyring);
    try {
      const isSame = labelOf(resealed) === before.format.label && isEqual(meaningOf(after), meaningOf(before));
      if (!isSame || !isEqual(after.secret, before.secret)) throw new RefusedError('cannot-open');
    } finally {
      after.secret.fill(0);
    }
  } finally {
    before.secret.fill(0);
  }
}

interface Opened {
  /** The newest format of the token's kind, whatever the token's own format is. */
  readonly format: Format<SealedHeader>;
  readonly header: SealedHeader;
  readonly secret: Buffer;
}

function openStoredToken({ token, account }: StoredToken, keyring: Keyring): Opened {
  if (account === undefined) return openedAs(CredentialToken, openStoredCredential(token, keyring));
  const { header, secret } = openExportedKey(token, keyring);
  if (belongsTo(account, header)) return openedAs(ExportedKeyToken, { header: { ...header, account }, secret });
  secret.fill(0);
  throw new RefusedError('cannot-open');
}

/**
 * A secret of the fleet names the domain key that it was made under, and frontends believe it. Under an older one it
 * was made by a former member, or for a former frontend by a member that has not heard of the named one; resealed, it
 * would look genuine. A named key that is not known here was dropped, or is newer than all that this member seals
 * under.
 */
function openStoredCredential(token: Uint8Array, keyring: Keyring) {
  const opened = openToken(CredentialToken, token, keyring);
  const named = domainKeyNamedBy(opened.header.accessKeyId);
  const [sealedIn, madeIn] = [opened.header.domainKeyId, named ?? ''].map((id) => keyring.madeIn(id) ?? 0);
  if (madeIn! <= sealedIn!) return opened;
  opened.secret.fill(0);
  throw new RefusedError('cannot-open');
}

/** `header` fits `format`: from here on only the two together are used. */
function openedAs<H extends SealedHeader>(format: Format<H>, opened: { header: H; secret: Buffer }): Opened {
  return { format: format as unknown as Format<SealedHeader>, ...opened };
}

/** Everything in a token except the domain key. */
function meaningOf({ format, header }: Opened): Buffer {
  return format.encode({ ...header, domainKeyId: '' });
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
