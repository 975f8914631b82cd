import { randomBytes } from 'node:crypto';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Fleet, FleetKeys } from '../store/fleet-keys.ts';
import { GRANT_TOKEN_KEY, type GrantName, NONCE_LENGTH, readGrantToken, sealGrantToken } from './grant-token.ts';

/**
 * Grant tokens: which grant a caller has just been given, authenticated so that any frontend takes it and nobody makes
 * one up.
 */
export class GrantTokens {
  readonly #keys: FleetKeys;

  constructor(fleet: Fleet) {
    this.#keys = fleet.keys(GRANT_TOKEN_KEY);
  }

  /** Another token each time; all tokens of a grant are worth the same. */
  async seal(grant: GrantName, deadline: number): Promise<string> {
    return sealGrantToken(await this.#keys.newest(deadline), grant, randomBytes(NONCE_LENGTH));
  }

  /** Throws InvalidGrantTokenException for what nobody was given. Whether the grant is still there is not asked. */
  async open(token: string, deadline: number): Promise<GrantName> {
    // What has not even the form of one costs no HSM.
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
