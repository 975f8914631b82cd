import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** Throws InvalidGrantTokenException for any token: this release makes no grants, so nobody was ever given one. */
export function assertGrantTokens(tokens: readonly string[]): void {
  if (tokens.length > 0) throw new KmsException('InvalidGrantTokenException', 'A grant token is not valid.');
}
