import { FormatError, Reader } from '../encoding/bytes.ts';

/**
 * Id of the domain key that a token (exported key token, sealed credential) is sealed under: the third field of every
 * sealed header (docs/formats.md). It stands there in clear, and is bound to what is sealed. Throws FormatError for
 * what is no token.
 */
export function domainKeyIdOf(token: Uint8Array): string {
  const id = textsOf(token, 3).at(-1)!;
  if (!/^[0-9a-f]{32}$/.test(id)) throw new FormatError('not a token');
  return id;
}

/** The access key id that a sealed credential is for: the fourth field. As above. */
export function accessKeyIdOf(token: Uint8Array): string {
  return textsOf(token, 4).at(-1)!;
}

/** The first fields of the header. */
function textsOf(token: Uint8Array, count: number): string[] {
  const header = new Reader(new Reader(token).bytes());
  return Array.from({ length: count }, () => header.text());
}
