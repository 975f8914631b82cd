import { FormatError, Reader } from '../encoding/bytes.ts';

/**
 * Id of the domain key that a token (exported key token, sealed credential) is sealed under: the third field of every
 * sealed header (docs/formats.md). It stands there in clear, and is bound to what is sealed. Throws FormatError for
 * what is no token.
 */
export function domainKeyIdOf(token: Uint8Array): string {
  const [, , id] = beginningOf(token);
  if (!/^[0-9a-f]{32}$/.test(id)) throw new FormatError('not a token');
  return id;
}

/** The access key id that a sealed credential is for: the fourth field. As above. */
export function accessKeyIdOf(token: Uint8Array): string {
  return beginningOf(token)[3];
}

function beginningOf(token: Uint8Array): [string, string, string, string] {
  const header = new Reader(new Reader(token).bytes());
  return [header.text(), header.text(), header.text(), header.text()];
}
