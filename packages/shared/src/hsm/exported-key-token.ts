import { z } from 'zod';
import { FormatError, Reader } from '../encoding/bytes.ts';
import { bytes, defineFormat } from '../encoding/canonical.ts';
import { ownOrigins } from '../key-specs.ts';
import { AccountId, KeySpecName, KeyUsageName } from './command-fields.ts';

const sealedUnder = { domain: z.string(), domainKeyId: z.string() };
const backingKey = {
  keyId: z.string(),
  materialId: bytes({ min: 32, max: 32 }),
  keySpec: KeySpecName,
  keyUsage: KeyUsageName,
  origin: z.enum(ownOrigins),
};

/**
 * Header of an exported key token (EKT): a backing key sealed under a domain key. The whole header is bound to the
 * secret: a token in the record of another key or account, or one that claims another spec, usage or origin, does not
 * open.
 */
export const ExportedKeyToken = defineFormat(
  'keyfleet/exported-key-token/2',
  z.strictObject({ ...sealedUnder, account: AccountId, ...backingKey }),
);

/** The format before tokens named their account. It opens forever; resealing converts it to the newest format. */
export const ExportedKeyTokenV1 = defineFormat(
  'keyfleet/exported-key-token/1',
  z.strictObject({ ...sealedUnder, ...backingKey }),
);

/** What a token of the newest version says in the clear, bound as below. Throws FormatError for any other. */
export function newestHeaderOf(token: Uint8Array): ReturnType<typeof ExportedKeyToken.decode> {
  return ExportedKeyToken.decode(new Reader(token).bytes());
}

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
