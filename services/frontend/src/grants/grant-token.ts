import { domainKeyId } from '@keyfleet/shared/domain/state';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { z } from 'zod';
import type { KeyObject } from 'node:crypto';
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FleetKey } from '../store/fleet-keys.ts';

const TAG_LENGTH = 32;
export const NONCE_LENGTH = 16;

/**
 * A grant token says where the grant is. It is not a secret, and gives its bearer nothing that the grant does not give
 * its grantee.
 */
const GrantTokenFormat = defineFormat(
  'keyfleet/grant-token/2',
  z.object({
    /** The domain key whose fleet key authenticates it. */
    domainKeyId,
    region: z.string(),
    keyId: z.string(),
    grantId: bytes({ min: 32, max: 32 }),
    /** Different in each token. */
    nonce: bytes({ min: NONCE_LENGTH, max: NONCE_LENGTH }),
  }),
);

/** The keys that authenticate grant tokens. A forged one names a grant, which its grantee has anyway. */
export const GRANT_TOKEN_KEY = {
  name: 'grant-token-key',
  info: 'keyfleet/grant-token-key/1',
  outlivesRemovals: true,
} as const;

export interface GrantName {
  readonly region: string;
  readonly keyId: string;
  readonly grantId: string;
}

export function sealGrantToken(
  { domainKeyId: id, key }: FleetKey,
  { region, keyId, grantId }: GrantName,
  nonce: Uint8Array,
): string {
  const encoded = GrantTokenFormat.encode({
    domainKeyId: id,
    region,
    keyId,
    grantId: Buffer.from(grantId, 'hex'),
    nonce,
  });
  return Buffer.concat([encoded, tagOf(key, encoded)]).toString('base64');
}

interface GivenToken extends GrantName {
  readonly domainKeyId: string;
  isGenuine(key: KeyObject): boolean;
}

/** A token's claim, whoever made it. Undefined for anything that cannot be a token. */
export function readGrantToken(token: string): GivenToken | undefined {
  const whole = Buffer.from(token, 'base64');
  if (whole.toString('base64') !== token || whole.length < TAG_LENGTH) return undefined;
  const [encoded, tag] = [whole.subarray(0, -TAG_LENGTH), whole.subarray(-TAG_LENGTH)];
  try {
    const { grantId, nonce: _, ...said } = GrantTokenFormat.decode(encoded);
    const isGenuine = (key: KeyObject): boolean => timingSafeEqual(tag, tagOf(key, encoded));
    return { ...said, grantId: Buffer.from(grantId).toString('hex'), isGenuine };
  } catch {
    return undefined;
  }
}

function tagOf(key: KeyObject, encoded: Uint8Array): Buffer {
  return createHmac('sha256', key).update(encoded).digest();
}
