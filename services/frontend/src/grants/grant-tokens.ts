import { randomBytes } from 'node:crypto';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Fleet } from '../store/fleet.ts';
import type { FleetKeys } from '../store/fleet-keys.ts';
import { GRANT_TOKEN_KEY, type GrantName, NONCE_LENGTH, readGrantToken, sealGrantToken } from './grant-token.ts';

/**
 * Grant tokens name a grant that a caller has just been given. They are authenticated, so that any frontend accepts
 * them and nobody can make one up.
 */
export class GrantTokens {
  readonly #keys: FleetKeys;

  constructor(fleet: Fleet) {
    this.#keys = fleet.keys(GRANT_TOKEN_KEY);
  }

  /** A different token each time; all tokens of a grant are equivalent. */
  async seal(grant: GrantName, deadline: number): Promise<string> {
    return sealGrantToken(await this.#keys.newest(deadline), grant, randomBytes(NONCE_LENGTH));
  }

  /**
   * Throws InvalidGrantTokenException for a token that nobody was given. Does not check whether the grant still exists.
   */
  async open(token: string, deadline: number): Promise<GrantName> {
    // A malformed token costs no HSM call.
    const read = readGrantToken(token);
    const key = read && (await this.#keys.find(read.domainKeyId, deadline));
    if (key === undefined || !read!.isGenuine(key)) throw invalidGrantToken();
    const { region, keyId, grantId } = read!;
    return { region, keyId, grantId };
  }
}

export function invalidGrantToken(): KmsException {
  return new KmsException('InvalidGrantTokenException', 'A grant token is not valid.');
}
