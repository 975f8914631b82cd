import { FormatError, Reader } from '../encoding/bytes.ts';

/**
 * The id of the domain key that seals a token (exported key token, sealed credential): the third field of every sealed
 * header (docs/formats.md). It is in the clear, and bound to the sealed content. Throws FormatError if this is not a
 * token.
 */
export function domainKeyIdOf(token: Uint8Array): string {
  const id = textsOf(token, 3).at(-1)!;
  if (!/^[0-9a-f]{32}$/.test(id)) throw new FormatError('not a token');
  return id;
}

/** The access key id of a sealed credential: the fourth field. Otherwise as above. */
export function accessKeyIdOf(token: Uint8Array): string {
  return textsOf(token, 4).at(-1)!;
}

/** The first fields of the header. */
function textsOf(token: Uint8Array, count: number): string[] {
  const header = new Reader(new Reader(token).bytes());
  return Array.from({ length: count }, () => header.text());
}
