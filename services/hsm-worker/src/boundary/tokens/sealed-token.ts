import { CannotOpenError, ivLength, open, seal, tagLength } from '@keyfleet/shared/encoding/aead';
import { FormatError, Reader, Writer } from '@keyfleet/shared/encoding/bytes';
import type { Format } from '@keyfleet/shared/encoding/canonical';
import { RefusedError } from '../errors.ts';
import type { Keyring } from '../domain/keyring.ts';

/**
 * Everything that leaves an HSM sealed under a domain key has this shape (docs/formats.md); the header is the
 * associated data:
 *
 *   u32 length | header (canonical) | IV 12 | ciphertext | tag 16
 */
export interface SealedHeader {
  readonly domain: string;
  readonly domainKeyId: string;
}

export interface SealedToken<H extends SealedHeader> {
  readonly header: H;
  readonly headerBytes: Buffer;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

/** What it takes to seal a token: the active domain key, and a source of IVs. */
export interface Sealer {
  readonly keyring: Keyring;
  readonly nonce: (length: number) => Buffer;
}

/**
 * Seals `secret` under the active domain key. The IV is random: a domain key seals for a day, and stays far below the
 * limit of 2^32 tokens (50,000 a second) in NIST SP 800-38D section 8.3. Beyond the limit, refuses with `overloaded`.
 */
export function sealToken<H extends SealedHeader>(
  format: Format<H>,
  { header, secret }: { header: Omit<H, keyof SealedHeader>; secret: Uint8Array },
  { keyring, nonce }: Sealer,
): Buffer {
  keyring.countSealing();
  const headerBytes = format.encode({ ...header, domain: keyring.domain, domainKeyId: keyring.active.id } as H);
  const iv = nonce(ivLength);
  const [ciphertext, tag] = seal({ key: keyring.active.key, iv, associatedData: headerBytes }, secret);
  const writer = new Writer();
  writer.bytes(headerBytes);
  for (const part of [iv, ciphertext, tag]) writer.raw(part);
  return writer.finish();
}

/** The label of a token's format; `''` for anything that is not a token. */
export function labelOf(token: Uint8Array): string {
  try {
    return new Reader(new Reader(token).bytes()).text();
  } catch (error) {
    if (error instanceof FormatError) return '';
    throw error;
  }
}

/** Reads a token's clear part, which is not authenticated until `openToken`. Throws `FormatError`. */
export function parseToken<H extends SealedHeader>(format: Format<H>, token: Uint8Array): SealedToken<H> {
  const reader = new Reader(token);
  const headerBytes = reader.bytes();
  const iv = reader.raw(ivLength);
  const rest = reader.raw(token.length - 4 - headerBytes.length - ivLength);
  if (rest.length < tagLength) throw new FormatError('truncated');
  return {
    header: format.decode(headerBytes),
    headerBytes,
    iv,
    ciphertext: rest.subarray(0, -tagLength),
    tag: rest.subarray(-tagLength),
  };
}

/**
 * Returns the authenticated header and the secret, which the caller must zero. Refuses with `unknown-domain-key`,
 * `retired-domain-key` or `cannot-open`.
 */
export function openToken<H extends SealedHeader>(
  format: Format<H>,
  token: Uint8Array,
  keyring: Keyring,
): { header: H; secret: Buffer } {
  try {
    const { header, headerBytes, iv, ciphertext, tag } = parseToken(format, token);
    if (header.domain !== keyring.domain) throw new CannotOpenError();
    if (keyring.isRetired(header.domainKeyId)) throw new RefusedError('retired-domain-key');
    const domainKey = keyring.find(header.domainKeyId);
    if (domainKey === undefined) throw new RefusedError('unknown-domain-key');
    const secret = open({ key: domainKey.key, iv, associatedData: headerBytes }, { ciphertext, tag });
    return { header, secret };
  } catch (error) {
    if (error instanceof FormatError || error instanceof CannotOpenError) throw new RefusedError('cannot-open');
    throw error;
  }
}
