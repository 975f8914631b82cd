import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** Throws InvalidGrantTokenException for any token: this release makes no grants, so nobody was ever given one. */
export function assertGrantTokens({ GrantTokens }: Readonly<Record<string, unknown>>): void {
  if (!Array.isArray(GrantTokens) || GrantTokens.length === 0) return;
  throw new KmsException('InvalidGrantTokenException', 'A grant token is not valid.');
}
