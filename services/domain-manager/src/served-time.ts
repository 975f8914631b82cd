import { createPublicKey } from 'node:crypto';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { signature, type Signer } from '@keyfleet/shared/domain/proposal';
import { decodeOrRefuse, encodedPublicKey, isSignatureOf, signBytes } from '@keyfleet/shared/domain/signature';
import { domainName, sha256Hash } from '@keyfleet/shared/domain/state';
import { z } from 'zod';

const ServedTime = defineFormat(
  'keyfleet/token-served/1',
  z.object({ domain: domainName, tokenHash: sha256Hash, servedMs: z.int().min(0) }),
);
const SignedServedTime = defineFormat(
  'keyfleet/token-served/signed/1',
  z.object({ served: bytes({ max: 512 }), signature }),
);

/** How long domain-managers have had a token and shown it to anyone who asks: a duration, which no clock can shift. */
export type ServedTime = ReturnType<typeof ServedTime.decode>;

/** Signed, because it is in a store that somebody else may control: writers there can only shorten it. */
export function signServedTime(time: ServedTime, { privateKey }: Signer): Buffer {
  const served = ServedTime.encode(time);
  return SignedServedTime.encode({ served, signature: signBytes(privateKey, served) });
}

/** In milliseconds; 0 if this scheduler did not sign it for this token. */
export function servedMsOf(signed: Uint8Array, token: Omit<ServedTime, 'servedMs'>, { privateKey }: Signer): number {
  try {
    const { served, signature: ofScheduler } = decodeOrRefuse(SignedServedTime, signed);
    const { domain, tokenHash, servedMs } = decodeOrRefuse(ServedTime, served);
    const isOfToken = domain === token.domain && Buffer.compare(tokenHash, token.tokenHash) === 0;
    const key = encodedPublicKey(createPublicKey(privateKey));
    return isOfToken && isSignatureOf(key, served, ofScheduler) ? servedMs : 0;
  } catch (error) {
    if (error instanceof DomainError) return 0;
    throw error;
  }
}
