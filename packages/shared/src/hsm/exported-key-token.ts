import { FormatError, Reader } from '../encoding/bytes.ts';

/**
 * Id of the domain key that a token (exported key token, sealed credential) is sealed under: the third field of every
 * sealed header (docs/formats.md). It stands there in clear, and is bound to what is sealed. Throws FormatError for
 * what is no token.
 */
export function domainKeyIdOf(token: Uint8Array): string {
  const header = new Reader(new Reader(token).bytes());
  header.text();
  header.text();
  const id = header.text();
  if (!/^[0-9a-f]{32}$/.test(id)) throw new FormatError('not a token');
  return id;
}
