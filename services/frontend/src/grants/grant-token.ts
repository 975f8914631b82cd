import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import type { KeyObject } from 'node:crypto';
import { createHmac, timingSafeEqual } from 'node:crypto';

const TAG_LENGTH = 32;
export const NONCE_LENGTH = 16;

/**
 * What a grant token says: where the grant is. It is no secret, and gives nothing that the grant does not give to its
 * grantee.
 */
const GrantTokenFormat = defineFormat(
  'keyfleet/grant-token/1',
  z.object({
    region: z.string(),
    keyId: z.string(),
    grantId: bytes({ min: 32, max: 32 }),
    /** Another one in each token. */
    nonce: bytes({ min: NONCE_LENGTH, max: NONCE_LENGTH }),
  }),
);

/** The key that authenticates grant tokens: every frontend of the fleet has it. */
export const GRANT_TOKEN_KEY = { name: 'grant-token-key', info: 'keyfleet/grant-token-key/1' } as const;

export interface GrantName {
  readonly region: string;
  readonly keyId: string;
  readonly grantId: string;
}

export function sealGrantToken(key: KeyObject, { region, keyId, grantId }: GrantName, nonce: Uint8Array): string {
  const encoded = GrantTokenFormat.encode({ region, keyId, grantId: Buffer.from(grantId, 'hex'), nonce });
  return Buffer.concat([encoded, tagOf(key, encoded)]).toString('base64');
}

/** What a token says, whoever made it. Undefined for what nobody can have made. */
export function readGrantToken(token: string): (GrantName & { isGenuine: (key: KeyObject) => boolean }) | undefined {
  const whole = Buffer.from(token, 'base64');
  if (whole.toString('base64') !== token || whole.length < TAG_LENGTH) return undefined;
  const [encoded, tag] = [whole.subarray(0, -TAG_LENGTH), whole.subarray(-TAG_LENGTH)];
  try {
    const { region, keyId, grantId } = GrantTokenFormat.decode(encoded);
    const isGenuine = (key: KeyObject): boolean => timingSafeEqual(tag, tagOf(key, encoded));
    return { region, keyId, grantId: Buffer.from(grantId).toString('hex'), isGenuine };
  } catch {
    return undefined;
  }
}

function tagOf(key: KeyObject, encoded: Uint8Array): Buffer {
  return createHmac('sha256', key).update(encoded).digest();
}
