import type { Member } from '@keyfleet/shared/domain/state';

/** Public: an HSM's identity, and what it has installed. */
export interface HsmDescription extends Member {
  /** Empty until the HSM first becomes a member. */
  readonly domain: string;
  /**
   * The HSM needs the tokens after this generation. A restarted member needs its newest token again, because that
   * holds the keys.
   */
  readonly generation: number;
  /** The hash of the token of that generation; empty while there is none. */
  readonly tokenHash: Uint8Array;
  /** The generation whose domain key seals; 0 without keys. */
  readonly activeGeneration: number;
}
