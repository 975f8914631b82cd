import { FormatError, Reader } from '@keyfleet/shared/encoding/bytes';
import type { Format } from '@keyfleet/shared/encoding/canonical';
import { RefusedError } from '../commands/command.ts';
import { CredentialToken } from './credential-token.ts';
import { ExportedKeyToken } from './exported-key-token.ts';
import { openToken, type SealedHeader, type Sealer, sealToken } from './sealed-token.ts';

/** The tokens that are kept for long, and so must be sealed again when the domain key changes. */
const formats = new Map<string, Format<SealedHeader>>([
  [ExportedKeyToken.label, ExportedKeyToken as Format<SealedHeader>],
  [CredentialToken.label, CredentialToken as Format<SealedHeader>],
]);

/** The same secret under the active domain key; the token itself if it already is. It is opened in either case. */
export function resealToken(token: Uint8Array, sealer: Sealer): Uint8Array {
  const format = formatOf(token);
  const { header, secret } = openToken(format, token, sealer.keyring);
  try {
    if (header.domainKeyId === sealer.keyring.active.id) return token;
    return sealToken(format, { header, secret }, sealer);
  } finally {
    secret.fill(0);
  }
}

function formatOf(token: Uint8Array): Format<SealedHeader> {
  try {
    const format = formats.get(new Reader(new Reader(token).bytes()).text());
    if (format !== undefined) return format;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  throw new RefusedError('cannot-open');
}
